"""The gate ships a single retriever only where it is better beyond doubt, and labels only where they help."""

from __future__ import annotations

import numpy as np
import pytest

from hybridret.fusion.gate import choose, with_labels
from hybridret.fusion.training import Judged


def question(generator: np.random.Generator, truth: np.ndarray, noise: float = 0.2) -> Judged:
    table = generator.normal(size=(15, 5))
    gains = np.zeros(15)
    gains[np.argmax(table @ truth + noise * generator.normal(size=15))] = 1.0
    return Judged(table, gains, 1.0, np.stack([table[:, 0], table[:, 2]]))


DENSE, BOTH = np.array([1.0, 0, 0, 0, 0]), np.array([1.0, 0, 1.0, 0, 0])


def test_one_retriever_alone_is_shipped_where_it_is_better_beyond_doubt() -> None:
    generator = np.random.default_rng(0)
    questions = [question(generator, DENSE) for _ in range(100)]
    choice = choose([questions], BOTH.tolist(), 0)
    assert choice.name == "dense"
    assert choice.means["dense"] > choice.means["learned"] > choice.means["bm25"]
    assert choice.better > 0.95
    assert choice == choose([questions], BOTH.tolist(), 0)


def test_the_learned_ranker_is_shipped_where_it_is_better_or_there_is_doubt() -> None:
    generator = np.random.default_rng(1)
    assert choose([[question(generator, BOTH) for _ in range(100)]], BOTH.tolist(), 0).name == "learned"
    assert choose([[question(generator, DENSE) for _ in range(3)]], DENSE.tolist(), 0).name == "learned"
    assert choose([], BOTH.tolist(), 0).name == "learned"


def test_many_labels_change_the_weights_where_these_are_wrong() -> None:
    generator = np.random.default_rng(2)
    questions = [question(generator, BOTH) for _ in range(200)]
    weights, taken = with_labels(questions, DENSE.tolist(), 0)
    assert taken
    assert weights[2] > 0.5


def test_labels_change_nothing_where_the_weights_are_right() -> None:
    generator = np.random.default_rng(3)
    questions = [question(generator, BOTH, 0.0) for _ in range(100)]
    right = tuple((8 * BOTH).tolist())
    assert with_labels(questions, right, 0) == (right, False)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_few_labels_seldom_make_the_ranker_worse(n: int) -> None:
    generator = np.random.default_rng(4)
    right = tuple((2 * BOTH).tolist())
    changed = sum(with_labels([question(generator, BOTH, 1.0) for _ in range(n)], right, seed)[1] for seed in range(60))
    assert changed <= 6
