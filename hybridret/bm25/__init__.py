"""Okapi BM25: tokenisers, postings and the retriever."""

from hybridret.bm25.okapi import BM25Okapi
from hybridret.bm25.retriever import BM25Retriever
from hybridret.bm25.tokenizer import TOKENIZER_VERSION, Tokenizer

__all__ = ["TOKENIZER_VERSION", "BM25Okapi", "BM25Retriever", "Tokenizer"]
