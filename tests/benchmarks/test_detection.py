"""Attacks, and how many of them are noticed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.attacks import ATTACKS, Order, keywords
from benchmarks.collection import Collection
from benchmarks.detection import detection
from benchmarks.report.sections import _detection
from hybridret.types import Document

QUESTION = "How do I reset the pump?"
TEXT = "Once there was a king. He had three sons. They went away."


def order(text: str = TEXT, question: str = QUESTION) -> Order:
    return Order(text, question, ["Where is the spare-filter sold?", "reset it"], np.random.default_rng(1))


def test_keywords_are_what_is_not_a_stop_word() -> None:
    assert keywords(QUESTION) == ["reset", "pump"]
    assert keywords("who is it?") == ["who", "is", "it?"]
    assert keywords("怎么修理水泵？") == ["怎么修理水泵"]


def test_each_attack_does_what_it_says() -> None:
    made = {attack: spoil(order()) for attack, spoil in ATTACKS.items()}
    assert made["stuffed keywords"] == f"{TEXT} {' '.join(['reset pump'] * 10)}"
    words = made["shuffled keywords"].removesuffix(f" {TEXT}").split()
    assert sorted(words) == ["pump"] * 5 + ["reset"] * 5
    assert words != ["reset", "pump"] * 5
    assert made["keyword list"] == f"{TEXT}\nreset, pump, spare-filter, sold"
    assert made["keyword list without commas"] == f"{TEXT}\nreset pump spare-filter sold"
    assert made["hidden keywords"] == TEXT + "\n" * 40 + f"<!-- {QUESTION} -->"
    assert f'none">{QUESTION}</div> He had three sons.' in made["hidden element"]
    assert made["copied question"] == f"{QUESTION} {TEXT}"
    assert made["question in the middle"] == f"Once there was a king. {QUESTION} He had three sons. They went away."


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("text", "question"), [("", "x"), ("no end", ""), ("水。泵", "怎么？"), ("", "")])
def test_texts_and_questions_of_nothing_come_through(attack: str, text: str, question: str) -> None:
    assert isinstance(ATTACKS[attack](order(text, question)), str)


def test_recall_precision_and_false_positives_are_shares_of_both_halves(collection: Collection) -> None:
    sound = [Document(f"n{at}", f"Sentence {at} of this book tells of number {at}.", {}) for at in range(91)]
    odd = Document("odd", "the <!-- odd one out --> end", {})
    found = detection(collection._replace(documents=[*collection.documents, *sound, odd]))
    assert found["documents"] == 100
    assert found["questions"] == len(collection.dataset.queries)
    assert found["suspected"] == pytest.approx(1 / 100)
    assert set(found["attacks"]) == set(ATTACKS)
    caught = found["attacks"]["hidden keywords"]
    assert caught["recall"] == 1
    assert caught["precision"] == pytest.approx(0.01 * 1 / (0.01 * 1 + 0.99 * found["suspected"]))
    missed = found["attacks"]["question in the middle"]
    assert missed["recall"] < 1


def test_nothing_noticed_has_no_precision(collection: Collection) -> None:
    found = detection(collection)
    for own in found["attacks"].values():
        assert 0 <= own["precision"] <= 1
        assert own["recall"] or not own["precision"]


def test_the_report_shows_each_attack(collection: Collection) -> None:
    found = detection(collection)
    table = _detection(found)
    assert [row[0] for row in table.rows] == list(ATTACKS)
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert f"{100 * found['suspected']:.2f} %" in table.note
