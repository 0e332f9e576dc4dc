"""Controllers of the Kubernetes API, one a file. Each is a client like any other, with the rights of its own user."""
