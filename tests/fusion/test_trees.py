"""LambdaMART: kept as plain numbers, equal to lightgbm's own answers, learned where weights cannot tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hybridret.fusion import EVIDENCE, PRIOR, Ranker
from hybridret.fusion.features import FEATURES, features
from hybridret.fusion.gate import with_trees
from hybridret.fusion.training import Judged, ndcg
from hybridret.fusion.trees import Trees, fit_trees

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]


def judged(n: int, rule: Rule, seed: int = 0) -> list[Judged]:
    """Questions whose right candidate is the one that a rule of evidence and facts puts first."""
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        evidence, facts = generator.normal(size=(12, len(EVIDENCE))), generator.random(5)
        gains = np.zeros(12)
        gains[rule(evidence, facts).argmax()] = 1.0
        made.append(Judged(evidence, gains, 1.0, evidence.T[:2], facts))
    return made


def switched(evidence: np.ndarray, facts: np.ndarray) -> np.ndarray:
    """By cosine where the query is long, by coverage where it is short: no sum of weights tells."""
    return evidence[:, 0 if facts[0] > 0.5 else 1]


def linear(evidence: np.ndarray, facts: np.ndarray) -> np.ndarray:
    return evidence @ np.array(PRIOR)


@pytest.fixture(scope="module")
def trees() -> Trees:
    pytest.importorskip("lightgbm")
    return fit_trees(judged(300, switched), seed=1)


def test_sums_are_lightgbms_own(monkeypatch: pytest.MonkeyPatch) -> None:
    lightgbm: Any = pytest.importorskip("lightgbm")
    kept: list[Any] = []
    train = lightgbm.train
    monkeypatch.setattr(lightgbm, "train", lambda *given, **named: kept.append(train(*given, **named)) or kept[-1])
    made = fit_trees(judged(100, switched), seed=1)
    table = np.concatenate([features(one.evidence, one.facts) for one in judged(20, switched, seed=5)])
    np.testing.assert_allclose(made.sums(table), kept[0].predict(table, raw_score=True), rtol=1e-9, atol=1e-12)


def test_two_fits_agree(trees: Trees) -> None:
    again = fit_trees(judged(300, switched), seed=1)
    assert again.as_json() == trees.as_json()


def test_contributions_sum_to_the_sum(trees: Trees) -> None:
    one = judged(1, switched, seed=7)[0]
    table = features(one.evidence, one.facts)
    for place, total in enumerate(trees.sums(table).tolist()):
        parts = trees.contributions(table[place])
        assert set(parts) == {"base", *FEATURES}
        assert sum(parts.values()) == pytest.approx(total)
    ranker = Ranker(trees=trees)
    assert sum(ranker.contributions(one.evidence, 3, one.facts).values()) == pytest.approx(
        ranker.sums(one.evidence, one.facts)[3]
    )


def test_trees_are_learned_where_they_tell_what_weights_cannot() -> None:
    pytest.importorskip("lightgbm")
    asked = judged(400, switched, seed=3)
    learned = with_trees(asked, PRIOR, seed=0)
    assert learned is not None
    others = judged(100, switched, seed=4)
    by_trees = np.mean([ndcg(learned.sums(features(one.evidence, one.facts)), one) for one in others])
    by_weights = np.mean([ndcg(one.evidence @ np.array(PRIOR), one) for one in others])
    assert by_trees > by_weights + 0.1
    assert with_trees(judged(400, linear, seed=3), PRIOR, seed=0) is None
    assert with_trees(asked[:299], PRIOR, seed=0) is None


def test_without_lightgbm_weights_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert with_trees(judged(300, switched), PRIOR, seed=0) is None


def test_a_ranker_with_trees_comes_back_from_json(trees: Trees) -> None:
    ranker = Ranker(trees=trees)
    back = Ranker.from_json(json.loads(json.dumps(ranker.as_json())))
    one = judged(1, switched, seed=8)[0]
    np.testing.assert_array_equal(back.sums(one.evidence, one.facts), ranker.sums(one.evidence, one.facts))
    assert Ranker.from_json({key: value for key, value in Ranker().as_json().items() if key != "trees"}) == Ranker()


@pytest.mark.parametrize(
    "change",
    [
        {"feature": [[999, 0, 0]]},
        {"feature": [[0.5, 0, 0]]},
        {"threshold": [[float("nan"), 0.0, 0.0]]},
        {"left": [[0, 1, 2]]},
        {"left": [[5, 1, 2]]},
        {"right": [[1, 0, 2]]},
        {"value": [[1.0]]},
        {"value": "text"},
        {"more": 1},
    ],
)
def test_trees_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    sound = {
        "feature": [[0, 0, 0]],
        "threshold": [[0.5, 0.0, 0.0]],
        "left": [[1, 1, 2]],
        "right": [[2, 1, 2]],
        "value": [[0.0, 1.0, 2.0]],
    }
    table = np.zeros((2, len(FEATURES)))
    table[1, 0] = 0.6
    assert Trees.from_json(sound).sums(table).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"trees|convert"):
        Trees.from_json({**sound, **change})
