"""Docker Engine API, v1.51 down to v1.24: wire structs as clients send them, and the protocol's constants.

Every field of a request may be absent or null (Go clients send null for what they did not set), so every field is
optional here; the facade gives defaults. Unknown fields are ignored, as the reference daemon does.
"""
