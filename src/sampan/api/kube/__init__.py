"""The Kubernetes facade: HTTP to verbs on stored objects."""
