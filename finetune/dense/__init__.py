"""Contrastive training of the dense retriever on sentence-transformers' trainer."""
