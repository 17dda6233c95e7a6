"""The built-in collection: Python's own documentation and questions about it."""
