"""The LangChain face of the package: a retriever and document index, and a vector store over the same index."""

from hybridret.langchain.retriever import HybridRetriever
from hybridret.langchain.structured_query import HybridTranslator
from hybridret.langchain.vectorstore import HybridVectorStore

__all__ = ["HybridRetriever", "HybridTranslator", "HybridVectorStore"]
