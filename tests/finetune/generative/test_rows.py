"""What docid training learns from, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.generative.config import DocidConfig
from finetune.generative.rows import planned, question_rows, sentence_rows
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document

DOCUMENTS = [
    Document("a", "Pumps The red pump is loud. It stops at night!\nToo short", {"title": "Pumps of the plant"}),
    Document("b", "tiny", {}),
]


def test_questions_keep_the_documents_that_are_there() -> None:
    questions = [Question("q", "who?", ("b", "gone", "a")), Question("r", "what?", ("gone",))]
    (row,) = question_rows(questions, DOCUMENTS)
    assert row.text == "who?"
    assert row.documents.tolist() == [0, 1]


def test_questions_keep_the_soft_labels_of_documents_that_are_there() -> None:
    labels = {"q": {"b": 0.5, "gone": 3.0, "a": -1.0}, "s": {"a": 1.0}}
    judged, plain = question_rows([Question("q", "who?", ("b",)), Question("r", "what?", ("a",))], DOCUMENTS, labels)
    assert judged.judged.tolist() == [1, 0]
    assert judged.labels.tolist() == [0.5, -1.0]
    assert plain.judged.tolist() == plain.labels.tolist() == []


def test_documents_are_told_by_title_and_sentences() -> None:
    rows = [(row.text, row.documents.tolist()) for row in sentence_rows(DOCUMENTS)]
    assert rows == [
        ("Pumps of the plant", [0]),
        ("Pumps The red pump is loud.", [0]),
        ("It stops at night!", [0]),
        ("tiny", [1]),
    ]


def test_documents_are_told_by_chunks_and_summaries() -> None:
    long = "x" * 390
    text = (
        f"Pumps need some good care here. The red pump pumps water. Call us! {long}. Some water pumps pump water daily."
    )
    (chunk, second, last) = sentence_rows([Document("a", text, {"title": "Pumps of the plant"})], ["chunks"])
    assert chunk.text == "Pumps need some good care here. The red pump pumps water. Call us!"
    assert second.text == long + "."
    assert last.text == "Some water pumps pump water daily."
    (summary,) = sentence_rows([Document("a", text, {})], ["summaries"])
    # pumps 3, water 3, pump 2, some 2: the first sentence (3 + 1 + 2 + 1 + 1 + 1) / 6, the second (2 + 3 + 3) / 5, the
    # last (2 + 3 + 3 + 2 + 3 + 1) / 6
    assert summary.text == "The red pump pumps water. Some water pumps pump water daily."


@pytest.mark.parametrize("is_interleaved", [True, False])
def test_a_plan_has_every_row_as_often_as_any_other(is_interleaved: bool) -> None:
    config = DocidConfig(batch_size=8, sentences=0.25, interleaved=is_interleaved)
    plan = planned(n_questions=12, n_sentences=4, steps=10, config=config, seed=3)
    assert plan.shape == (10, 8)
    counts = np.bincount(plan.ravel(), minlength=16)
    assert counts[:12].tolist() == [5] * 12
    assert counts[12:].tolist() == [5] * 4
    is_sentence = plan >= 12
    if is_interleaved:
        assert is_sentence.sum(axis=1).tolist() == [2] * 10
    else:
        assert is_sentence.ravel().tolist() == [True] * 20 + [False] * 60
    np.testing.assert_array_equal(plan, planned(12, 4, 10, config, seed=3))
    assert not np.array_equal(plan, planned(12, 4, 10, config, seed=4))


def test_without_questions_there_is_no_plan() -> None:
    with pytest.raises(InputError, match="no question to learn from"):
        planned(0, 5, 3, DocidConfig(), seed=0)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"levels": 0}, "docid.levels"),
        ({"batch_size": 1}, "docid.batch_size"),
        ({"temperature": 0.0}, "docid.temperature"),
        ({"share": 1.0}, "docid.share"),
        ({"told": ()}, "docid.told"),
        ({"told": ("titles", "poems")}, "docid.told"),
        ({"max_steps": -1}, "docid.max_steps"),
        ({"precision": "int8"}, "docid.precision"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=named):
        DocidConfig(**settings)
