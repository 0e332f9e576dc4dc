"""Schemas: of the built-in kinds, from published definitions, and of custom resources, from their own."""
