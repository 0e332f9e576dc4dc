"""Custom resources: what a CustomResourceDefinition says, as resources and strategies like the built-in ones."""
