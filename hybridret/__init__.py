"""Hybrid retrieval for RAG: dense vectors, BM25 and decoded docids, fused, as a LangChain retriever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridret.langchain import HybridRetriever, HybridVectorStore

__version__ = "0.1.0"
__all__ = ["HybridRetriever", "HybridVectorStore", "__version__"]


def __getattr__(name: str) -> Any:
    """Imports the classes for LangChain when they are first asked for, so that importing the package stays fast."""
    if name in ("HybridRetriever", "HybridVectorStore"):
        from hybridret import langchain

        return getattr(langchain, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
