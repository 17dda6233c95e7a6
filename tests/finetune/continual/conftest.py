"""A bundle of twelve things with docids, and new things to come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune import Recipe
from finetune.recipe import changed
from finetune.types import Question
from hybridret.config import Config
from hybridret.dense import TransformerEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder, DocidRetriever
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
from tests.finetune.words import WORDS as OLD

NEW = ["violin", "zebra", "jacket", "quartz", "yoghurt", "wizard"]
ASKED = ("where is the {}", "show me a {}", "I want the {}", "what about that {}")
SETTINGS: dict[str, Any] = {
    "clean": {"near_duplicates": 0, "language": "any", "garbled": False, "boilerplate": 0},
    "queries": {"count": 12, "makers": {"sentences": 1.0, "keyphrases": 1.0}},
    "gate": {"held_out": 0.25, "at_least": 6, "at_most": 12},
    "docid": {"max_steps": 40, "batch_size": 10, "precision": "fp32", "table_learning_rate": 3e-2},
    "continual": {"learning_rate": 3e-3, "ewc": 1.0, "fisher_questions": 8},
}


class Things:
    """Documents of unlike words, and four questions about each.

    Attributes:
        old: The words of the bundle's documents.
        new: Those of the documents to come.
    """

    old, new = OLD, NEW

    def documents(self, words: list[str]) -> list[Document]:
        return [Document(word, f"The {word} has number {at}. It stands there.", {}) for at, word in enumerate(words)]

    def questions(self, words: list[str]) -> list[Question]:
        return [
            Question(f"{word}{at}", asked.format(word), (word,)) for word in words for at, asked in enumerate(ASKED)
        ]


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """A recipe of a few steps, with changes by stage."""

    def make(**changes: dict[str, Any]) -> Recipe:
        return changed(changed(Recipe(), SETTINGS, "here"), changes, "here")

    return make


@pytest.fixture
def make_bundle(tiny_encoder: TransformerEncoder, tmp_path: Path) -> Callable[..., Path]:
    """Builds the bundle, its docids trained or not."""

    def make(name: str = "b", trained: bool = True) -> Path:
        documents = Things().documents(OLD)
        docid = None
        if trained:
            vectors = tiny_encoder.encode_documents([document.text for document in documents])
            quantizer = ResidualQuantizer.fit(vectors, 6, 8, seed=0)
            tables = quantizer.codebooks + np.float32(0.01)
            docid = DocidRetriever(quantizer, trained=CodeDecoder(tables))
        config = Config(docid_levels=6, docid_codes=8)
        HybridIndex.build(documents, tiny_encoder, config, tmp_path / name, docid=docid)
        return tmp_path / name

    return make
