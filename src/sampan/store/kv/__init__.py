"""The revisioned key-value store under the Kubernetes API: port, memory, sqlite, etcd."""
