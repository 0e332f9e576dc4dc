"""Dynamic admission: webhooks, and policies in CEL and in Python."""
