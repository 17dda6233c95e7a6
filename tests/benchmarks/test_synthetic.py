"""Synthetic collections: the same with every call, judged as they say; copies are as relevant as their originals."""

from __future__ import annotations

import re

import numpy as np
import pytest

from benchmarks.synthetic import LOOKUPS, SYNTHETIC, synthetic_collections, with_copies
from benchmarks.synthetic.manual import lookups
from benchmarks.synthetic.patterns import Pattern, ask, fill, with_typo
from benchmarks.synthetic.short import claims
from hybridret.data.clean import clean_documents

QUICK = [name for name in SYNTHETIC if name != "lookups-2000"]


@pytest.mark.parametrize("name", QUICK)
def test_every_judgement_is_of_a_document_and_two_calls_give_the_same(name: str) -> None:
    made = synthetic_collections(name)
    assert [each.fingerprint for each in made] == [each.fingerprint for each in synthetic_collections(name)]
    for collection in made:
        ids = [document.doc_id for document in clean_documents(collection.documents)]
        assert len(set(ids)) == len(ids) == len(collection.documents)
        assert collection.dataset.queries.keys() == collection.dataset.qrels.keys()
        for query, grades in collection.dataset.qrels.items():
            assert collection.dataset.queries[query].strip()
            assert grades
            assert set(grades) <= set(ids)


@pytest.mark.parametrize(
    "name",
    ["posts", "turns", "commands", "claims", "code-lines", "inventory", "log-lines", "two-languages", "one-word"],
)
def test_short_collections_are_short_and_no_text_stands_twice(name: str) -> None:
    (collection,) = synthetic_collections(name)
    texts = [document.text for document in collection.documents]
    assert len(set(texts)) == len(texts) >= 150
    assert max(len(text.split()) for text in texts) <= 25
    questions = list(collection.dataset.queries.values())
    assert len(questions) >= 150
    assert len(set(questions)) / len(questions) > 0.95


@pytest.mark.parametrize("name", [name for name in LOOKUPS if name in QUICK])
def test_the_term_of_a_lookup_stands_in_the_one_document_that_is_right(name: str) -> None:
    for collection in synthetic_collections(name):
        texts = {document.doc_id: document.text for document in collection.documents}
        for query, grades in collection.dataset.qrels.items():
            (right,) = grades
            words = collection.dataset.queries[query].split()
            holders = {word: [doc for doc, text in texts.items() if word in text] for word in words}
            assert [right] in holders.values(), collection.dataset.queries[query]


def test_orders_and_strays_change_neither_questions_nor_answers() -> None:
    first, other = lookups(30), lookups(30, n_strays=4, seed=1)
    assert first.dataset == other.dataset
    ids = [each.doc_id for each in first.documents]
    others = [each.doc_id for each in other.documents if not each.doc_id.startswith("stray")]
    assert sorted(ids) == sorted(others)
    assert ids != others
    assert len(other.documents) == 34
    kinds = {re.sub(r"\d", "", query) for query in first.dataset.queries}
    assert kinds == {"code", "part", "person", "serial", "version", "function"}


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_copy_of_a_relevant_document_is_as_relevant(times: int) -> None:
    collection = claims(40, 60)
    copied = with_copies(collection, times)
    texts = {each.doc_id: each.text for each in collection.documents}
    twins = {each.doc_id: each.text for each in copied.documents}
    assert len(twins) == times * len(texts)
    assert sorted(twins.values()) == sorted([*texts.values()] * times)
    for query, grades in collection.dataset.qrels.items():
        relevant = {texts[doc_id] for doc_id in grades}
        assert set(copied.dataset.qrels[query]) == {doc_id for doc_id, text in twins.items() if text in relevant}
    with pytest.raises(ValueError, match="at least 1"):
        with_copies(collection, 0)


def test_a_question_is_answered_by_all_documents_with_the_values_that_it_names() -> None:
    patterns = [Pattern("{person} sells {good}.", ["what does {person} have", "buy {good_alt}"])]
    slots = {"person": ["Ann", "Bob"], "good": ["bread|loaves", "milk|dairy"]}
    generator = np.random.default_rng(0)
    documents = fill(patterns, slots, 10, generator)
    assert sorted(each.text for each in documents) == [
        "Ann sells bread.",
        "Ann sells milk.",
        "Bob sells bread.",
        "Bob sells milk.",
    ]
    queries, qrels = ask(documents, patterns, 10, generator)
    texts = {f"d{at:04d}": each.text for at, each in enumerate(documents)}
    names = {"Ann": "Ann", "Bob": "Bob", "loaves": "bread", "dairy": "milk"}
    checked = 0
    for query, text in queries.items():
        for name, word in names.items():
            if text in (f"what does {name} have", f"buy {name}"):
                assert set(qrels[query]) == {doc_id for doc_id, document in texts.items() if word in document}
                checked += 1
    assert checked


def test_a_typo_changes_one_word_that_is_long_enough() -> None:
    generator = np.random.default_rng(3)
    assert with_typo("a cat 12345678 E4012", generator) == "a cat 12345678 E4012"
    for _ in range(50):
        changed = with_typo("an elephant is big", generator).split()
        assert changed[0] == "an"
        assert changed[2:] == ["is", "big"]
        assert abs(len(changed[1]) - len("elephant")) <= 1
