"""Custom resources: what a CustomResourceDefinition makes of its kinds. Pure."""
