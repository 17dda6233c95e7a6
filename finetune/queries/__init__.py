"""Making questions from documents, with and without language models."""

from finetune.queries.config import QueriesConfig
from finetune.queries.make import MAKERS, make_questions
from finetune.queries.round_trip import round_trip

__all__ = ["MAKERS", "QueriesConfig", "make_questions", "round_trip"]
