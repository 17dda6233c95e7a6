"""The gate: what passes, what is merged, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel

from finetune.encoding import RememberingEncoder
from finetune.gate import Exam, GateConfig, choose_share, decide, general_exam, measure
from finetune.gate.decide import paired_p
from finetune.gate.exam import narrowed, sampled
from finetune.gate.general import everyday_exam
from finetune.gate.merge import merged
from finetune.splitting import held_out_exam, split
from finetune.types import Question
from hybridret.data.dataset import Dataset
from hybridret.data.readers import PYTHON_DOCS, read_corpus
from hybridret.evaluation import evaluate_queries
from hybridret.hybrid import HybridIndex
from hybridret.models import load_model
from hybridret.types import Document

OLD = np.linspace(0.2, 0.8, 50)
NOISE = np.random.default_rng(0).normal(0, 0.05, 50)


def values(scores: Any) -> dict[str, Any]:
    return {"nDCG@10": np.asarray(scores), "Recall@10": np.asarray(scores)}


def decided(
    gains: dict[float, float],
    general: dict[float, float] | None = None,
    most: float = 1.0,
    compared: int = 1,
    **settings: Any,
) -> Any:
    """A decision where a model with a share of new weights is better by so much, and generally worth so much."""

    def ask(ratio: float) -> Any:
        told = None if general is None else values([general[ratio]] * 5)
        return values(OLD), values(OLD + NOISE + gains[ratio]), told

    old_general = None if general is None else values([general[0.0]] * 5)
    return decide(values(OLD), old_general, ask, GateConfig(**settings), most, compared)


def test_a_better_model_passes_at_once() -> None:
    decision = decided({1.0: 0.1})
    assert (decision.ratio, len(decision.trials), decision.questions) == (1.0, 1, 50)
    assert decision.trials[0].p == pytest.approx(ttest_rel(OLD + NOISE + 0.1, OLD).pvalue)
    assert decision.sentence().startswith(
        "The new model is shipped: better on held-out questions (nDCG@10 0.500 -> 0.6"
    )


def test_a_worse_model_gives_way_to_the_best_merge_that_passes() -> None:
    decision = decided({1.0: -0.1, 0.75: 0.02, 0.5: 0.06, 0.25: 0.04})
    assert decision.ratio == 0.5
    assert "a merge with 50% of its weights is shipped" in decision.sentence()
    assert decision.to_json()["shipped"] == "merge"
    best = next(trial for trial in decision.trials if trial.ratio == 0.5)
    assert best.p == pytest.approx(min(1.0, 4 * ttest_rel(OLD + NOISE + 0.06, OLD).pvalue)), "Bonferroni"


def test_made_questions_prove_a_merge_at_most() -> None:
    decision = decided({0.5: 0.1}, most=0.5)
    assert decision.ratio == 0.5
    assert decision.sentence().startswith("A merge with 50% of the new weights is shipped: better on held-out")
    assert decided({0.5: -0.1, 0.25: 0.1}, most=0.5).ratio == 0.25
    assert [trial.ratio for trial in decided({0.5: -0.1, 0.25: -0.1}, most=0.5).trials] == [0.5, 0.25]


def test_shares_of_new_weights_are_tried_downwards_while_that_is_better() -> None:
    values = {1.0: 0.4, 0.75: 0.5, 0.5: 0.45, 0.25: 0.6}
    assert choose_share(values.__getitem__, [1.0, 0.75, 0.5, 0.25]) == {1.0: 0.4, 0.75: 0.5, 0.5: 0.45}
    assert choose_share(lambda share: -share, [1.0, 0.75, 0.5]) == {1.0: -1.0, 0.75: -0.75, 0.5: -0.5}
    assert choose_share(lambda share: share, [1.0, 0.75, 0.5]) == {1.0: 1.0, 0.75: 0.75}


def test_a_share_that_was_chosen_among_several_has_to_pass_for_all_of_them() -> None:
    decision = decided({0.75: 0.1}, most=0.75, compared=3)
    assert decision.ratio == 0.75
    assert decision.trials[0].p == pytest.approx(min(1.0, 3 * ttest_rel(OLD + NOISE + 0.1, OLD).pvalue)), "Bonferroni"


def test_a_sample_keeps_what_counts_and_draws_the_rest() -> None:
    documents = [Document(str(at), str(at), {}) for at in range(40)]
    exam = Exam("x", documents, {"q": "?", "r": "?"}, {"q": {"7": 1}, "r": {"30": 1, "7": 1}})
    names = [document.doc_id for document in sampled(exam, 12, seed=0).documents]
    assert len(names) == 12
    assert {"7", "30"} <= set(names)
    assert names == sorted(names, key=int)
    assert names != [document.doc_id for document in sampled(exam, 12, seed=1).documents]
    assert [document.doc_id for document in sampled(exam, 1, seed=0).documents] == ["7", "30"]
    assert sampled(exam, 100, seed=0).documents == documents


def test_the_base_is_kept_where_nothing_is_better() -> None:
    decision = decided({1.0: -0.1, 0.75: -0.02, 0.5: 0.0, 0.25: 0.005})
    assert decision.ratio == 0.0
    assert decision.to_json()["shipped"] == "base"
    assert "The base model is kept" in decision.sentence()
    assert "not significantly better" in decision.sentence()


def test_a_model_that_forgot_too_much_does_not_pass() -> None:
    general = {0.0: 0.6, 1.0: 0.5, 0.75: 0.56, 0.5: 0.58, 0.25: 0.6}
    gains = {1.0: 0.2, 0.75: 0.1, 0.5: 0.08, 0.25: 0.05}
    decision = decided(gains, general)
    assert decision.ratio == 0.75
    assert "general questions fell from 0.600 to 0.500" in decision.trials[0].reason
    assert decided(gains, general, general_drop=0.2).ratio == 1.0


def test_the_paired_test_of_odd_cases() -> None:
    assert paired_p(np.array([0.5]), np.array([0.9])) == 1.0
    assert paired_p(OLD, OLD) == 1.0
    assert paired_p(np.zeros(5), np.ones(5)) == 0.0


def test_a_merge_is_the_weighted_mean_of_the_weights(tiny_model: Path) -> None:
    base, new = load_model(str(tiny_model)), load_model(str(tiny_model))
    with torch.no_grad():
        for parameter in new.parameters():
            parameter.add_(torch.randn_like(parameter))
    made = merged(base, new, 0.25).state_dict()
    for name, value in made.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * base.state_dict()[name] + 0.25 * new.state_dict()[name])
    assert all(
        torch.equal(merged(base, new, 1.0).state_dict()[name], value) for name, value in new.state_dict().items()
    )


@pytest.fixture
def exam(animals: dict[str, str]) -> Exam:
    documents = [Document(name, text, {}) for name, text in animals.items()]
    queries = {name: text.split(" and ")[0].lower() for name, text in animals.items()}
    return Exam("animals", documents, queries, {name: {name: 1} for name in animals})


def test_the_exam_measures_what_an_index_measures(exam: Exam, tiny_encoder: Any) -> None:
    found = measure(tiny_encoder, exam)
    index = HybridIndex.build(exam.documents, tiny_encoder)
    expected = evaluate_queries(index, Dataset(dict(exam.queries), exam.qrels, 0))["dense"]
    for name, each in found.items():
        assert each.tolist() == pytest.approx([expected[name][query] for query in exam.queries])


def test_a_narrowed_exam_keeps_answers_and_nearest_documents(exam: Exam, tiny_encoder: Any) -> None:
    small = exam._replace(queries=dict(list(exam.queries.items())[:2]), qrels=dict(list(exam.qrels.items())[:2]))
    kept = {document.doc_id for document in narrowed(small, [tiny_encoder], 1).documents}
    assert set(small.queries) <= kept
    assert len(kept) <= 4


def test_documents_are_encoded_once(tiny_encoder: Any) -> None:
    asked: list[str] = []

    class Noted:
        def __getattr__(self, name: str) -> Any:
            return getattr(tiny_encoder, name)

        def encode_documents(self, texts: list[str], progress: Any = None) -> Any:
            asked.extend(texts)
            return tiny_encoder.encode_documents(texts, progress)

    encoder = RememberingEncoder(Noted())  # type: ignore[arg-type]
    first = encoder.encode_documents(["a cat", "a dog", "a cat"])
    again = encoder.encode_documents(["a dog", "a bee"])
    assert asked == ["a cat", "a dog", "a bee"]
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(first[1], again[0])


def made(n: int, source: str = "labels", text: str | None = None) -> list[Question]:
    return [
        Question(f"{source}{at}", f"{source} {at}", (f"d{at % 7}",), source=source, positive_text=text)
        for at in range(n)
    ]


def test_enough_labels_are_held_out_else_made_questions() -> None:
    train, held_out = split(made(100), made(50, "titles"), GateConfig(held_out=0.2, at_least=10), 0)
    assert len(held_out) == 20
    assert {question.source for question in held_out} == {"labels"}
    assert len(train) == 130
    train, held_out = split(made(9), made(50, "titles"), GateConfig(held_out=0.2, at_least=10), 0)
    assert {question.source for question in held_out} == {"titles"}
    assert len(held_out) == 10
    assert len(train) == 49
    again = split(made(9), made(50, "titles"), GateConfig(held_out=0.2, at_least=10), 0)
    other = split(made(9), made(50, "titles"), GateConfig(held_out=0.2, at_least=10), 1)
    assert again.held_out == held_out != other.held_out


def test_no_held_out_question_is_trained_on_even_under_another_id() -> None:
    twice = [
        *made(40),
        *(each._replace(query_id=f"again-{each.query_id}", text=f" {each.text.upper()}") for each in made(40)),
    ]
    train, held_out = split(twice, [], GateConfig(held_out=0.2, at_least=10), 0)
    words = {question.text.strip().lower() for question in held_out}
    assert not [question for question in train if question.text.strip().lower() in words]


def test_texts_that_became_questions_are_taken_out_of_the_exam() -> None:
    _, held_out = split([], made(60, "titles", "without the title"), GateConfig(held_out=0.5, at_least=2), 0)
    assert len({question.positives[0] for question in held_out}) == len(held_out) == 7
    documents = [Document(f"d{at}", f"title {at} and text", {}) for at in range(9)]
    exam = held_out_exam(documents, held_out)
    assert [document.text for document in exam.documents[6:]] == [
        "without the title",
        "title 7 and text",
        "title 8 and text",
    ]


def test_general_questions_come_from_outside_the_domain(animals: dict[str, str]) -> None:
    exam = general_exam([Document(name, text, {}) for name, text in animals.items()])
    assert exam.name == "Python's documentation"
    assert len(exam.documents) == 1000
    known = {document.doc_id for document in exam.documents}
    assert all(set(grades) <= known for grades in exam.qrels.values())
    assert general_exam(read_corpus(PYTHON_DOCS)[:500]).name == "everyday matters"


def test_everyday_questions_are_well_formed() -> None:
    exam = everyday_exam()
    assert len(exam.documents) == len(exam.queries) == len({document.text for document in exam.documents}) >= 60
    assert len({text.lower() for text in exam.queries.values()}) == len(exam.queries)


@pytest.mark.model
@pytest.mark.slow
def test_everyday_questions_can_be_answered_but_not_by_guessing(packaged_model: str) -> None:
    from hybridret.dense import make_encoder

    found = measure(make_encoder(), everyday_exam())["nDCG@10"].mean()
    assert 0.6 < found < 0.99


@pytest.mark.parametrize(
    "settings", [{"held_out": 0.0}, {"at_least": 1}, {"ratios": (1.0,)}, {"at_most": 5, "at_least": 9}]
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    from hybridret.errors import InputError

    with pytest.raises(InputError, match="gate"):
        GateConfig(**settings)
