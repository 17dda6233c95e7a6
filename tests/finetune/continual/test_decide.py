"""What is shipped, by what old and new documents' questions are answered like."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from finetune.continual.decide import Side, decide, lost_so_far, trial


class Told:
    """A side whose values a table gives by the share of new weights, for dense and docid."""

    def __init__(self, **values: dict[float, tuple[float, float]]) -> None:
        self.values = values

    def measure(self, ratio: float) -> dict[str, dict[str, Any]]:
        return {
            retriever: {measure: np.array([self.values[measure][ratio][at]]) for measure in ("nDCG@10", "Recall@10")}
            for at, retriever in enumerate(("dense", "docid"))
        }


def side(recall: dict[float, tuple[float, float]], ndcg: dict[float, tuple[float, float]] | None = None) -> Side:
    return cast(Side, Told(**{"Recall@10": recall, "nDCG@10": ndcg or recall}))


NEW = side({0.0: (0.5, 0.5), 1.0: (0.7, 0.9), 0.5: (0.6, 0.7), 0.25: (0.5, 0.6)})


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        ({0.0: (0.8, 0.8), 1.0: (0.79, 0.78), 0.5: (0.8, 0.8), 0.25: (0.8, 0.8)}, 1.0),
        ({0.0: (0.8, 0.8), 1.0: (0.90, 0.77), 0.5: (0.8, 0.79), 0.25: (0.8, 0.8)}, 0.5),
        ({0.0: (0.8, 0.8), 1.0: (0.70, 0.70), 0.5: (0.7, 0.7), 0.25: (0.8, 0.79)}, 0.25),
        ({0.0: (0.8, 0.8), 1.0: (0.70, 0.70), 0.5: (0.7, 0.7), 0.25: (0.7, 0.7)}, 0.0),
    ],
)
def test_the_largest_share_that_keeps_the_old_is_taken(old: Any, expected: float) -> None:
    decision = decide((side(old), NEW), cast(Any, float), [1.0, 0.5, 0.25], 0.0201)
    assert decision.ratio == expected
    shipped = {
        1.0: "new models are shipped",
        0.5: "A merge with 50%",
        0.25: "A merge with 25%",
        0.0: "old models are kept",
    }
    assert shipped[expected] in decision.sentence()
    assert all("forgotten" in each.reason for each in decision.trials if not each.passed)


def test_what_gains_nothing_is_not_shipped_and_without_a_tolerance_anything_is() -> None:
    flat = side({0.0: (0.5, 0.5), 1.0: (0.6, 0.4), 0.5: (0.5, 0.5)})
    decision = decide((None, flat), cast(Any, float), [1.0, 0.5], 0.02)
    assert decision.ratio == 0.0
    assert "nothing is gained" in decision.sentence()
    worse = side({0.0: (0.9, 0.9), 1.0: (0.1, 0.1)})
    assert decide((worse, flat), cast(Any, float), [1.0], None).ratio == 1.0


def test_the_worse_of_both_retrievers_counts() -> None:
    old = {"dense": {"Recall@10": (0.8, 0.9)}, "docid": {"Recall@10": (0.8, 0.75)}}
    new = {name: {"nDCG@10": (0.5, 0.6)} for name in ("dense", "docid")}
    found = trial(1.0, cast(Any, old), cast(Any, new), 0.02)
    assert not found.passed
    told = "nDCG@10 on new documents +0.100, Recall@10 on old ones -0.050 (docid)"
    assert found.reason == f"too much is forgotten: {told}"


def test_what_earlier_batches_have_cost_counts() -> None:
    updates = [
        {"old": {"dense": {"Recall@10": [0.80, 0.79]}, "docid": {"Recall@10": [0.70, 0.75]}}},
        {"old": {}},
        {"old": {"dense": {"Recall@10": [0.75, 0.74]}, "docid": {"Recall@10": [0.70, 0.69]}}},
    ]
    lost = lost_so_far(updates)
    assert lost == {"dense": pytest.approx(0.01 + 0.01)}, "docid has gained .05 - .01"
    old = {"dense": {"Recall@10": (0.8, 0.79)}, "docid": {"Recall@10": (0.8, 0.79)}}
    new = {name: {"nDCG@10": (0.5, 0.6)} for name in ("dense", "docid")}
    assert trial(1.0, cast(Any, old), cast(Any, new), 0.02).passed
    found = trial(1.0, cast(Any, old), cast(Any, new), 0.02, lost)
    assert not found.passed
    assert "Recall@10 on old ones -0.010 (dense, -0.030 with earlier batches)" in found.reason
    docids = {"docid": old["docid"]}
    assert trial(1.0, cast(Any, docids), cast(Any, new), 0.02, lost).passed
