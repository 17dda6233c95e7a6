"""The table of the ablation of docid training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from benchmarks.ablation_docid import BASELINE, _rows
from finetune.gate import Exam
from finetune.gate.exam import graded
from hybridret.types import Document, Run

DOCUMENTS = [Document(str(at), "text", {}) for at in range(4)]
EXAM = Exam("dev", DOCUMENTS, dict.fromkeys("abc", "?"), {query: {"0": 1} for query in "abc"})


def measured(*places: int) -> dict[str, Any]:
    """Answers with the right document at the given places."""
    runs = [Run(np.roll(np.arange(4), place), np.arange(4.0, 0.0, -1.0)) for place in places]
    return {"before": graded(EXAM, [runs[0]] * 3), "after": graded(EXAM, runs)}


def test_rows_are_means_over_seeds_and_compared_by_question() -> None:
    told = {"seconds": 1.0, "memorised": {}, "curve": []}
    values = {BASELINE: [measured(0, 1, 2), measured(0, 0, 0)], "other": [measured(1, 1, 3), measured(0, 1, 1)]}
    rows = _rows(values, {name: [told, told] for name in values})
    gain = {place: 1 / np.log2(place + 2) for place in range(4)}
    assert rows[BASELINE]["by seed"] == [round((gain[0] + gain[1] + gain[2]) / 3, 4), 1.0]
    assert rows["other"]["nDCG@10"] == pytest.approx((gain[1] + gain[1] + gain[3] + gain[0] + gain[1] + gain[1]) / 6)
    assert rows["other"]["Recall@10"] == 1.0
    other = [(gain[1] + gain[0]) / 2, gain[1], (gain[3] + gain[1]) / 2]
    ours = [gain[0], (gain[1] + gain[0]) / 2, (gain[2] + gain[0]) / 2]
    assert rows["other"]["p"] == pytest.approx(ttest_rel(other, ours).pvalue)
