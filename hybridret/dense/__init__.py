"""Dense retrieval: text encoders and the vector index."""

from hybridret.dense.encoder import EmbeddingsEncoder, TransformerEncoder, make_encoder
from hybridret.dense.retriever import INDEX_KINDS, DenseRetriever

__all__ = ["INDEX_KINDS", "DenseRetriever", "EmbeddingsEncoder", "TransformerEncoder", "make_encoder"]
