"""Which texts docid training sees, in which order and how often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from finetune.generative.config import DocidConfig
from finetune.generative.curriculum import (
    asked_for,
    important_first,
    picks_of,
    redrawn,
    staged,
    tail_weights,
    weighted,
)
from finetune.generative.rows import Picks, Row, planned
from hybridret.types import ScoreArray


def row(text: str, *documents: int) -> Row:
    return Row(text, np.array(documents, dtype=np.int64))


QUESTIONS = [row("q0", 1), row("q1", 1), row("q2", 1, 2), row("q3", 0)]
SENTENCES = [row("s0", 0), row("s1", 1), row("s2", 2), row("s3", 3)]


def test_sentences_of_documents_that_are_asked_for_most_come_first() -> None:
    assert asked_for(QUESTIONS, 4).tolist() == [1, 3, 1, 0]
    assert important_first(SENTENCES, QUESTIONS, 4).tolist() == [1, 0, 2, 3]


def test_tail_weights_are_their_formula() -> None:
    found = tail_weights(QUESTIONS, 4, exponent=0.5)
    raw = [3**-0.5, 3**-0.5, 1.0, 1.0]
    np.testing.assert_allclose(found, np.array(raw) / sum(raw))
    alone = tail_weights(QUESTIONS[:2] + QUESTIONS[3:], 2, exponent=1.0)
    np.testing.assert_allclose(alone, [1 / 4, 1 / 4, 1 / 2])


def test_stages_draw_from_a_third_then_two_then_all() -> None:
    drawn = staged(np.array([5, 3, 1, 0, 2, 4]), 30, seed=0)
    assert len(drawn) == 30
    assert set(drawn[:10].tolist()) == {5, 3}
    assert set(drawn[10:20].tolist()) == {5, 3, 1, 0}
    assert set(drawn[20:].tolist()) == {5, 3, 1, 0, 2, 4}
    np.testing.assert_array_equal(drawn, staged(np.array([5, 3, 1, 0, 2, 4]), 30, seed=0))


@given(
    hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0.01, 1.0)), st.integers(0, 200), st.integers(0, 99)
)
def test_every_text_is_drawn_by_its_share_give_or_take_one(raw: ScoreArray, wanted: int, seed: int) -> None:
    weights = raw / raw.sum()
    counts = np.bincount(weighted(weights, wanted, seed), minlength=len(raw))
    assert counts.sum() == wanted
    assert (np.abs(counts - weights * wanted) < 1 + 1e-9).all()


def test_what_is_known_is_drawn_less_and_kinds_keep_their_places() -> None:
    plan = planned(4, 4, steps=500, config=DocidConfig(batch_size=8, sentences=0.25), seed=0)
    rates = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    found = redrawn(plan, 4, rates, alpha=2.0, seed=1)
    np.testing.assert_array_equal(found < 4, plan < 4)
    counts = np.bincount(found.ravel(), minlength=8)
    share = np.exp(-2.0) / (np.exp(-2.0) + 3)
    assert counts[0] == pytest.approx(share * 3000, abs=1)
    assert counts[7] == pytest.approx(share * 1000, abs=1)
    np.testing.assert_array_equal(found, redrawn(plan, 4, rates, alpha=2.0, seed=1))


def test_a_configuration_says_how_texts_are_picked() -> None:
    assert picks_of(DocidConfig(), QUESTIONS, SENTENCES, 4, None) == Picks()
    easy = picks_of(DocidConfig(order="easy"), QUESTIONS, SENTENCES, 4, np.array([9, 0, 5, 7]))
    config = DocidConfig(batch_size=2, sentences=0.5)
    assert planned(4, 4, 9, config, 0, easy)[:3, 0].tolist() == [1, 1, 1]
    important = picks_of(DocidConfig(order="important"), QUESTIONS, SENTENCES, 4, None)
    assert planned(4, 4, 9, config, 0, important)[:3, 1].tolist() == [4 + 1] * 3
    tail = picks_of(DocidConfig(long_tail=1.0), QUESTIONS, SENTENCES, 4, None)
    counts = np.bincount(planned(4, 0, 80, DocidConfig(batch_size=2), 0, tail).ravel())
    assert counts.tolist() == pytest.approx([160 / 8, 160 / 8, 480 / 8, 480 / 8], abs=1)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"order": "hard"}, "docid.order must be one of shuffled, important, easy"),
        ({"order": "easy", "dynamic": 1.0}, "docid.order, docid.long_tail and docid.dynamic"),
        ({"long_tail": -1.0}, "docid.long_tail"),
        ({"dynamic": float("nan")}, "docid.dynamic"),
        ({"stop_at": 0.0}, "docid.stop_at"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(Exception, match=named):
        DocidConfig(**settings)  # type: ignore[arg-type]
