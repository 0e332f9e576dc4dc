"""What webhooks and policies are asked about a write, and which of them are: pure."""
