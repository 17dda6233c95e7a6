"""Cleaning what a model is trained on; the index keeps every document."""

from finetune.cleaning.clean import Cleaned, clean
from finetune.cleaning.config import CleanConfig
from finetune.cleaning.report import CleanReport, Drop

__all__ = ["CleanConfig", "CleanReport", "Cleaned", "Drop", "clean"]
