"""The built-in corpus and its questions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from hybridret.data.dataset import read_dataset
from hybridret.data.python_docs import python_docs
from hybridret.data.readers import read_corpus
from hybridret.types import Document

KINDS = {"module", "class", "function", "method", "property", "reference"}


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return python_docs()


@pytest.fixture(scope="module")
def corpus(documents: list[Document]) -> dict[str, Document]:
    return {document.doc_id: document for document in documents}


@pytest.fixture(scope="module")
def questions() -> list[dict[str, Any]]:
    file = resources.files("hybridret.data.python_docs").joinpath("questions.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_there_are_thousands_of_documents_sorted_by_unique_id(documents: list[Document]) -> None:
    ids = [document.doc_id for document in documents]
    assert len(ids) > 4000
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    ("doc_id", "module", "kind", "words"),
    [
        ("shutil.rmtree", "shutil", "function", "directory tree"),
        ("os.path.join", "os.path", "function", "Join two or more pathname"),
        ("str.join", "builtins", "method", "Concatenate"),
        ("asyncio.run", "asyncio", "function", "coroutine"),
        ("random.randint", "random", "function", "random integer"),
        ("reference:with", "reference", "reference", "context manager"),
        ("math.sqrt", "math", "function", "square root"),
        ("collections.Counter", "collections", "class", "hashable"),
        ("json", "json", "module", "JSON"),
    ],
)
def test_a_known_document_is_there(
    corpus: dict[str, Document], doc_id: str, module: str, kind: str, words: str
) -> None:
    document = corpus[doc_id]
    assert words in document.text
    assert document.metadata["kind"] == kind
    assert document.metadata["module"] in (module, "" if module == "builtins" else module)
    assert document.metadata["name"] == doc_id.removeprefix("reference:")


def test_every_document_has_text_and_metadata_that_json_can_hold(corpus: dict[str, Document]) -> None:
    for document in corpus.values():
        assert document.text.partition("\n")[2].strip(), document.doc_id
        assert document.metadata["kind"] in KINDS
        assert set(document.metadata) <= {"module", "kind", "name", "since", "deprecated"}
        assert json.loads(json.dumps(document.metadata)) == document.metadata


def test_every_kind_is_there_and_since_and_deprecated_where_the_text_says_so(corpus: dict[str, Document]) -> None:
    assert set(Counter(document.metadata["kind"] for document in corpus.values())) == KINDS
    for field in ("since", "deprecated"):
        documents = [document for document in corpus.values() if field in document.metadata]
        assert documents
        for document in documents:
            value = document.metadata[field]
            assert value is True or value in document.text, document.doc_id


def test_tests_demos_and_private_names_are_left_out(corpus: dict[str, Document]) -> None:
    for doc_id, document in corpus.items():
        if document.metadata["kind"] != "reference":
            parts = doc_id.split(".")
            assert not any(part.startswith("_") for part in parts), doc_id
            assert parts[0] not in {"test", "idlelib", "lib2to3", "this", "antigravity", "turtledemo"}


def test_nothing_is_imported_for_its_side_effects(run_python: Callable[..., Any]) -> None:
    code = """
import sys
from hybridret.data.python_docs import python_docs
before = set(sys.modules)
python_docs()
print(*sorted(set(sys.modules) - before))
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert not imported & {"this", "antigravity", "tkinter", "idlelib", "turtle", "test", "distutils", "lib2to3"}
    assert "Zen of Python" not in done.stdout


def test_read_as_a_corpus_it_is_the_same_again(documents: list[Document]) -> None:
    assert read_corpus("python-docs") == documents


def test_there_are_at_least_300_questions_with_unique_ids_and_texts_in_three_splits(
    questions: list[dict[str, Any]],
) -> None:
    assert len(questions) >= 300
    assert len({question["_id"] for question in questions}) == len(questions)
    assert len({" ".join(question["text"].lower().split()) for question in questions}) == len(questions)
    splits = Counter(question["split"] for question in questions)
    assert set(splits) == {"train", "dev", "test"}
    assert min(splits.values()) >= 30


def test_every_question_has_graded_answers_one_of_the_highest_grade(questions: list[dict[str, Any]]) -> None:
    for question in questions:
        assert set(question) == {"_id", "text", "split", "answers"}
        assert set(question["answers"].values()) <= {1, 2}, question
        assert 2 in question["answers"].values(), question


def test_nearly_all_answers_exist_in_this_interpreter(
    questions: list[dict[str, Any]], corpus: dict[str, Document]
) -> None:
    answers = [doc_id for question in questions for doc_id in question["answers"]]
    missing = [doc_id for doc_id in answers if doc_id not in corpus]
    assert len(missing) <= 0.05 * len(answers), missing


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_split_is_a_dataset(questions: list[dict[str, Any]], corpus: dict[str, Document], split: str) -> None:
    dataset = read_dataset("python-docs", split, corpus)
    assert len(dataset.queries) + dataset.dropped == sum(question["split"] == split for question in questions)
    assert dataset.queries.keys() == dataset.qrels.keys()
    assert dataset.dropped <= 0.05 * len(dataset.queries)


def test_questions_whose_documents_are_missing_are_dropped_and_counted(
    questions: list[dict[str, Any]], corpus: dict[str, Document]
) -> None:
    present = {doc_id for doc_id in corpus if not doc_id.startswith(("os", "shutil", "random"))}
    dataset = read_dataset("python-docs", "test", present)
    lost = [
        question["_id"]
        for question in questions
        if question["split"] == "test" and not present & set(question["answers"])
    ]
    assert lost
    assert dataset.dropped == len(lost)
    assert not set(lost) & set(dataset.queries)
    assert all(set(grades) <= present for grades in dataset.qrels.values())


def test_the_demo_asks_questions_that_have_answers_here(corpus: dict[str, Document]) -> None:
    from hybridret.demo import QUESTIONS

    assert len(QUESTIONS) == len(set(QUESTIONS)) >= 3
    assert {"shutil.rmtree", "subprocess.run", "random.choices"} <= corpus.keys()


def test_hooks_that_a_program_replaced_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.excepthook", lambda *failure: None)
    assert "sys.excepthook" in {document.doc_id for document in python_docs()}
