"""The meaning of Kubernetes API objects: kinds, defaults, validation, selectors, patches, server-side apply. Pure."""
