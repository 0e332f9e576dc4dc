"""The patches: JSON patch, merge patch, strategic merge patch. Each returns a new object and may share parts with the old."""
