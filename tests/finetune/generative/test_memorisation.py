"""The running memorisation rate: counted by document, kept, and what is done by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.generative.memorisation import Memorisation
from finetune.generative.rows import Row


def rows() -> list[Row]:
    return [Row(str(at), np.array([document], dtype=np.int64)) for at, document in enumerate([0, 1, 1, 0, 2])]


def counted() -> Memorisation:
    """Three questions, of documents 0, 1 and 1, and two sentences, of 0 and 2."""
    memorisation = Memorisation(rows(), 3, 3)
    for picked, hits in (([0, 1, 3], [True, False, True]), ([0, 1, 4], [False, True, False])):
        at = np.array(picked)
        memorisation.update(at, np.array([0, 1, 1, 0, 2])[at], np.array(hits))
    return memorisation


def test_rates_are_moving_averages_by_document_and_kind() -> None:
    memorisation = counted()
    np.testing.assert_allclose(memorisation.rates, [[0.7 * 1 + 0.3 * 0, 0.7 * 0 + 0.3 * 1, 0], [1, 0, 0]])
    assert memorisation.means() == pytest.approx(((0.7 + 0.3) / 2, (1 + 0) / 2))
    assert memorisation.lowest() == pytest.approx(0.5)
    np.testing.assert_allclose(memorisation.of_rows(), [0.7, 0.3, 0.3, 1, 0])


def test_of_a_kind_without_texts_nothing_is_asked() -> None:
    memorisation = Memorisation(rows(), 5, 3)
    assert memorisation.means() == (0.0, 0.0)
    assert memorisation.lowest() == 0.0
    memorisation.update(np.array([0]), np.array([0]), np.array([True]))
    assert memorisation.lowest() == 1.0


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    memorisation = counted()
    memorisation.mark(7)
    memorisation.save(tmp_path / "kept.npz")
    other = Memorisation(rows(), 3, 3)
    other.load(tmp_path / "kept.npz")
    np.testing.assert_array_equal(other.rates, memorisation.rates)
    np.testing.assert_array_equal(other.seen, memorisation.seen)
    assert other.curve == memorisation.curve == [(7, 0.5, 0.5)]
