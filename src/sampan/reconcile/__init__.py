"""The one loop: a keyed queue with back-off, and what runs it. Level-triggered: a key says what to look at, never why."""
