"""The built-in collection: Python's own documentation and questions about it."""

from hybridret.data.python_docs.corpus import python_docs

__all__ = ["python_docs"]
