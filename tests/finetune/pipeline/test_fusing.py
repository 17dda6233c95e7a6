"""The fusion of a trained bundle is fitted to what training has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.fusing import fit_fusion
from finetune.gate.hybrid import match_spread
from hybridret.changes import Changes
from hybridret.config import Config
from hybridret.data.off_topic import ENGLISH
from hybridret.dense import EmbeddingsEncoder
from hybridret.fusion import Ranker
from hybridret.fusion.evidence import Spread
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
from tests.conftest import StubEmbeddings

WORDS = [f"{first}{vowel}{last}" for first in "bdfgklmnprst" for vowel in "aeiou" for last in "nrx"]
CONFIG = Config(docid_levels=2, docid_codes=8, depth=20)


@pytest.fixture
def documents() -> list[Document]:
    generator = np.random.default_rng(3)
    texts = [
        " ".join(" ".join(generator.choice(WORDS, size=6)).capitalize() + "." for _ in range(4)) for _ in range(60)
    ]
    return [Document(f"s{at:02}", text, {}) for at, text in enumerate(texts)]


def ranker_of(bundle: Path) -> Ranker:
    ranker = Changes.open(bundle).generation.ranker
    assert ranker is not None
    return ranker


def test_without_labels_the_untrained_model_is_asked(documents: list[Document], tmp_path: Path) -> None:
    untrained, trained = EmbeddingsEncoder(StubEmbeddings(8)), EmbeddingsEncoder(StubEmbeddings(64))
    HybridIndex.build(documents, trained, CONFIG, tmp_path / "b")
    fit_fusion(tmp_path / "b", trained, untrained, {})
    found = ranker_of(tmp_path / "b")

    HybridIndex.build(documents, untrained, CONFIG, tmp_path / "u", fit=True)
    wanted = ranker_of(tmp_path / "u")
    assert found.weights == pytest.approx(wanted.weights, abs=1e-6)
    assert found.report["nDCG@10"] == wanted.report["nDCG@10"]
    spread = Changes.open(tmp_path / "u").generation.spread
    assert found.spread is not None
    assert found.spread.deviation < 0.8 * spread.deviation, "64 dimensions spread cosines less than 8"
    assert not found.report["automatic"]
    index = HybridIndex.open(tmp_path / "b", trained)
    best = sorted(hits[0].score for hits in index.search(list(ENGLISH), 1))
    assert found.off_topic == pytest.approx(best)


def test_cosines_found_by_chance_say_as_much_as_before() -> None:
    before, after = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.7, 0.9, 0.95])
    found = match_spread(Spread(0.1, 0.2), before, after)
    assert found is not None
    for told in (np.mean, np.std):
        assert told((after - found.mean) / found.deviation) == pytest.approx(told((before - 0.1) / 0.2))
    assert match_spread(Spread(0.1, 0.2), before, before) == pytest.approx(Spread(0.1, 0.2))
    assert match_spread(Spread(0.1, 0.2), before, np.full(3, 0.5)) is None


def test_with_labels_the_trained_model_is_asked(documents: list[Document], tmp_path: Path) -> None:
    untrained, trained = EmbeddingsEncoder(StubEmbeddings(8)), EmbeddingsEncoder(StubEmbeddings(64))
    labels = {" ".join(document.text.split()[3:6]): {document.doc_id: 1} for document in documents[:40]}
    HybridIndex.build(documents, trained, CONFIG, tmp_path / "b")
    fit_fusion(tmp_path / "b", trained, untrained, labels)
    index = HybridIndex.build(documents, trained, CONFIG, tmp_path / "t")
    index.fit(labels)
    assert ranker_of(tmp_path / "b") == ranker_of(tmp_path / "t")
    assert ranker_of(tmp_path / "b").report["questions"]["labelled"] == 40
