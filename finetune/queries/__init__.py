"""Making questions from documents, with and without language models."""

from finetune.queries.config import QueriesConfig
from finetune.queries.make import make_questions
from finetune.queries.registry import MAKERS
from finetune.queries.round_trip import round_trip

__all__ = ["MAKERS", "QueriesConfig", "make_questions", "round_trip"]
