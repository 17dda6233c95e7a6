"""Perturbed questions and poisoned documents."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks.attacks import ATTACKS, PREFIX, poisoned
from benchmarks.collection import Collection
from benchmarks.poison import poisoning
from benchmarks.robustness import PERTURBATIONS, STRENGTHS, part_of, perturbed, robustness
from benchmarks.subject import Subject, open_subject
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.hybrid import HybridIndex

TEXT = "Where can I buy a small fast boat with a strong motor before winter begins"


@pytest.fixture
def subject(collection: Collection, embeddings: Any, tmp_path: Path) -> Subject:
    encoder = EmbeddingsEncoder(embeddings)
    HybridIndex.build(collection.documents, encoder, Config(docid_levels=3), tmp_path / "bundle")
    return open_subject(collection, tmp_path / "bundle", encoder)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_perturbations_change_more_when_they_are_stronger_and_are_the_same_every_time(kind: str) -> None:
    change = PERTURBATIONS[kind]
    changed = [change(TEXT, share, random.Random(0)) for share in STRENGTHS]
    assert changed == [change(TEXT, share, random.Random(0)) for share in STRENGTHS]
    before = TEXT.split()
    differing = []
    for text in changed:
        after = text.split()
        same = sum(a == b for a, b in zip(before, after, strict=False))
        differing.append(len(before) - (len(after) if kind == "dropped words" else same))
    assert 1 <= differing[0] < differing[-1]


def test_word_order_keeps_the_words_and_dropping_keeps_the_order() -> None:
    assert sorted(PERTURBATIONS["word order"](TEXT, 0.5, random.Random(1)).split()) == sorted(TEXT.split())
    left = PERTURBATIONS["dropped words"](TEXT, 0.5, random.Random(1)).split()
    places = iter(TEXT.split())
    assert all(word in places for word in left)
    assert len(left) == 15 - round(0.5 * 15)


@pytest.mark.parametrize("text", ["", "a", "zzz", "怎么修理水泵"])
@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_texts_without_words_to_change_come_through(kind: str, text: str) -> None:
    assert isinstance(PERTURBATIONS[kind](text or "x", 0.5, random.Random(0)), str)


def test_what_is_kept_is_measured_by_system(subject: Subject) -> None:
    found = robustness(subject)
    assert set(found["perturbations"]) == set(PERTURBATIONS)
    for own in found["perturbations"].values():
        for strength in own.values():
            for name, value in strength["systems"].items():
                assert value["kept"] == pytest.approx(value["nDCG@10"] / found["as asked"][name])
    kept = [each["systems"]["bm25"]["kept"] for own in found["perturbations"].values() for each in own.values()]
    assert found["RobustScore"]["bm25"] == pytest.approx(sum(kept) / len(kept))
    same = perturbed(part_of(subject.collection, 9), "word order", 0.5)
    assert same.queries["q1"] == "purrs who"


def test_poisoned_documents_hold_the_question_and_answer_nothing(subject: Subject) -> None:
    dataset = part_of(subject.collection, 9)
    for attack in ATTACKS:
        for document in poisoned(subject.collection.documents, dataset, attack):
            query = document.doc_id.removeprefix(PREFIX)
            assert dataset.queries[query].split()[-1] in document.text
            answers = {
                document.text for document in subject.collection.documents if document.doc_id in dataset.qrels[query]
            }
            assert not any(document.text.startswith(answer) for answer in answers)


def test_poison_climbs_in_a_copy_alone(subject: Subject) -> None:
    before = (len(subject.index), subject.index.ids())
    found = poisoning(subject)
    assert (len(subject.index), subject.index.ids()) == before
    assert set(found["attacks"]) == set(ATTACKS)
    for own in found["attacks"].values():
        for values in own.values():
            assert 0 <= values["first"] <= values["among ten"] <= 1
    assert found["attacks"]["stuffed keywords"]["bm25"]["first"] == 1.0
    assert found["attacks"]["stuffed keywords"]["bm25"]["nDCG@10"] < found["before"]["bm25"]
