"""Whitening the shipped model's vectors, where held-out questions are better answered by it."""

from finetune.whitening.config import WhitenConfig

__all__ = ["WhitenConfig"]
