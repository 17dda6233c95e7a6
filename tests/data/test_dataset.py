"""Queries with judgements: what is kept, what is dropped and counted, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridret.data.dataset import read_dataset
from hybridret.errors import CorpusError

ALL = {"cat", "bee", "cow", "car"}


def rewrite(folder: Path, qrels: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")


def test_queries_with_judgements_are_read(beir_folder: Path) -> None:
    dataset = read_dataset(str(beir_folder), "test", ALL)
    assert dataset.queries == {
        "q1": "who purrs", "q2": "who makes honey", "q3": "who eats grass", "q4": "who has wheels"
    }  # fmt: skip
    assert dataset.qrels == {"q1": {"cat": 1}, "q2": {"bee": 2, "cow": 0}, "q3": {"cow": 1}, "q4": {"car": 1}}
    assert dataset.dropped == 0


def test_queries_that_no_document_answers_are_dropped_and_counted(beir_folder: Path) -> None:
    dataset = read_dataset(str(beir_folder), "test", {"cat", "cow"})
    assert list(dataset.queries) == ["q1", "q3"]
    assert dataset.qrels == {"q1": {"cat": 1}, "q3": {"cow": 1}}
    assert dataset.dropped == 2


def test_queries_without_judgements_are_ignored(beir_folder: Path) -> None:
    rewrite(beir_folder, "q1\tcat\t1\n")
    dataset = read_dataset(str(beir_folder), "test", ALL)
    assert (list(dataset.queries), dataset.dropped) == (["q1"], 0)


def test_a_split_without_any_answer_is_refused(beir_folder: Path) -> None:
    with pytest.raises(CorpusError, match="no query of split test is answered"):
        read_dataset(str(beir_folder), "test", {"owl"})


def test_an_unknown_split_names_those_that_there_are(beir_folder: Path) -> None:
    with pytest.raises(CorpusError, match=r"no split dev .*there are test"):
        read_dataset(str(beir_folder), "dev", ALL)
    with pytest.raises(CorpusError, match="no split nope; there are dev, test, train"):
        read_dataset("python-docs", "nope", ALL)


@pytest.mark.parametrize("row", ["q2\tbee", "q2\tbee\tone", "q2\tbee\t1.5", "q2\tbee\t1\t1", "q2 bee 1"])
def test_a_faulty_judgement_is_named_by_file_and_line(beir_folder: Path, row: str) -> None:
    rewrite(beir_folder, f"query-id\tcorpus-id\tscore\nq1\tcat\t1\n{row}\n")
    with pytest.raises(
        CorpusError, match=r"test\.tsv:3: (query id, document id and grade are wanted|the grade must be a whole number)"
    ):
        read_dataset(str(beir_folder), "test", ALL)


def test_judgements_that_are_not_utf8_are_named(beir_folder: Path) -> None:
    (beir_folder / "qrels" / "test.tsv").write_bytes(b"q1\tcaf\xe9\t1\n")
    with pytest.raises(CorpusError, match=r"test\.tsv"):
        read_dataset(str(beir_folder), "test", ALL)


def test_a_judgement_of_an_unknown_query_is_refused(beir_folder: Path) -> None:
    rewrite(beir_folder, "q9\tcat\t1\n")
    with pytest.raises(CorpusError, match="query 'q9' is not in"):
        read_dataset(str(beir_folder), "test", ALL)


def test_a_faulty_query_is_named_by_file_and_line(beir_folder: Path) -> None:
    rewrite(beir_folder, "q1\tcat\t1\n")
    (beir_folder / "queries.jsonl").write_text('{"_id": "q1", "text": "who"}\n{"_id": [2], "text": "x"}\n', "utf-8")
    with pytest.raises(CorpusError, match=r"queries\.jsonl:2: _id and text must be strings"):
        read_dataset(str(beir_folder), "test", ALL)


def test_missing_queries_are_named(beir_folder: Path) -> None:
    (beir_folder / "queries.jsonl").unlink()
    with pytest.raises(CorpusError, match=r"queries\.jsonl is missing"):
        read_dataset(str(beir_folder), "test", ALL)
