"""The generative retriever: a model that decodes docids."""

from hybridret.generative.code_decoder import CodeDecoder
from hybridret.generative.retriever import DocidRetriever

__all__ = ["CodeDecoder", "DocidRetriever"]
