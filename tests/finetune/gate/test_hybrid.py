"""The gate asks the hybrid as well, by what an index answers, and keeps back what makes it worse."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.continual.decide import trial as continual_trial
from finetune.gate import Exam, GateConfig, HybridExam
from finetune.gate.decide import HYBRID, trial
from finetune.gate.exam import narrowed
from hybridret.config import Config
from hybridret.data.dataset import Dataset
from hybridret.dense import TransformerEncoder
from hybridret.evaluation import evaluate_queries
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
from tests.finetune.words import WORDS


@pytest.fixture
def exam() -> Exam:
    documents = [Document(f"d{at}", f"The {word} and the {WORDS[at - 1]}", {}) for at, word in enumerate(WORDS)]
    queries = {f"q{at}": f"where is a {word}" for at, word in enumerate(WORDS)}
    return Exam("exam", documents, queries, {f"q{at}": {f"d{at}": 1} for at in range(len(WORDS))})


def test_the_hybrid_is_what_an_index_answers_that_was_fitted_to_nothing(
    exam: Exam, tiny_encoder: TransformerEncoder
) -> None:
    index = HybridIndex.build(exam.documents, tiny_encoder, Config(), fit=False)
    dataset = Dataset(dict(exam.queries), exam.qrels, 0)
    expected = evaluate_queries(index, dataset)["hybrid"]["nDCG@10"]
    found = HybridExam(exam, "english", tiny_encoder).measure(tiny_encoder)[HYBRID]
    np.testing.assert_allclose(found, [expected[query] for query in exam.queries])


def test_a_model_that_gains_alone_and_hurts_the_hybrid_does_not_pass() -> None:
    one, better, worse = np.full(40, 0.5), np.full(40, 0.7), np.full(40, 0.4)
    better[0], worse[0] = 0.69, 0.41
    values = {"nDCG@10": one, "Recall@10": one, HYBRID: one}
    hurting = {"nDCG@10": better, "Recall@10": better, HYBRID: worse}
    for config, passed in (
        (GateConfig(), False),
        (GateConfig(hybrid_drop=None), True),
        (GateConfig(hybrid_drop=0.2), True),
    ):
        assert trial(1.0, values, hurting, None, None, 1, config).passed == passed
    kept = trial(1.0, values, {**hurting, HYBRID: one}, None, None, 1, GateConfig())
    assert kept.passed
    assert "the hybrid fell from 0.500 to 0.400" in trial(1.0, values, hurting, None, None, 1, GateConfig()).reason


@pytest.mark.parametrize(("hybrid", "passed"), [(0.5, True), (0.49, False), (0.6, True)])
def test_what_goes_on_learning_does_not_hurt_the_hybrid_either(hybrid: float, passed: bool) -> None:
    alone = {"nDCG@10": (0.5, 0.6), "Recall@10": (0.5, 0.6)}
    new = {"dense": alone, "docid": alone, "hybrid": {"nDCG@10": (0.5, hybrid), "Recall@10": (0.5, 0.5)}}
    found = continual_trial(1.0, {}, new, 0.02)
    assert found.passed == passed
    assert f"the hybrid's {hybrid - 0.5:+.3f}" in found.reason


def test_fewer_documents_keep_what_bm25_finds_first(exam: Exam, tiny_encoder: TransformerEncoder) -> None:
    asked = exam._replace(queries={"q1": f"a {WORDS[1]}"}, qrels={"q1": {"d1": 1}})
    by_words = HybridExam(asked, "english", tiny_encoder).found_by_words(2)
    assert by_words == {1, 2}
    kept = {document.doc_id for document in narrowed(asked, [tiny_encoder], 1, by_words).documents}
    assert {"d1", "d2"} <= kept
    assert len(kept) <= 3
