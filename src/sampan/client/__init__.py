"""The Kubernetes API as controllers and tools use it: the port, and the form that calls a server in this process."""
