"""Quality: measures against ir-measures by another path and against formulas, slices and complementarity by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest

from benchmarks.collection import Collection, read_collection
from benchmarks.quality import MEASURES, measured, quality, read_runs, write_questions
from benchmarks.slices import complementarity, oracle, sliced, slices
from benchmarks.systems import DEPTH, own_systems, reciprocal_ranks, run
from hybridret.config import Config
from hybridret.data.dataset import Dataset
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import CorpusError, InputError
from hybridret.hybrid import HybridIndex


@pytest.fixture
def runs(collection: Collection, embeddings: Any) -> dict[str, Any]:
    index = HybridIndex.build(collection.documents, EmbeddingsEncoder(embeddings), Config(docid_levels=3))
    return {name: run(search, collection.dataset.queries) for name, search in own_systems(index).items()}


def some_runs(n_questions: int = 40, n_documents: int = 130) -> tuple[dict[str, Any], Collection]:
    """Random answers to random judgements, grades 0 to 3; a question without hits among them."""
    generator = np.random.default_rng(0)
    qrels = {
        f"q{at}": {f"d{doc}": int(generator.integers(1, 4)) for doc in generator.choice(n_documents, 5, replace=False)}
        | {f"d{n_documents}": 0}
        for at in range(n_questions)
    }
    answers = {
        query: {f"d{doc}": float(100 - rank) for rank, doc in enumerate(generator.permutation(n_documents)[:DEPTH])}
        for query in qrels
    }
    answers["q0"] = {}
    dataset = Dataset(dict.fromkeys(qrels, "what"), qrels, 0)
    return {"system": answers}, Collection("random", [], dataset, "test", {}, None)


def test_measures_are_those_of_ir_measures_over_its_own_file_formats(tmp_path: Path) -> None:
    runs, collection = some_runs()
    judged = "".join(
        f"{query} 0 {doc} {grade}\n" for query, own in collection.dataset.qrels.items() for doc, grade in own.items()
    )
    hits = "".join(
        f"{query} Q0 {doc} {rank} {score!r} s\n"
        for query, own in runs["system"].items()
        for rank, (doc, score) in enumerate(own.items(), 1)
    )
    (tmp_path / "qrels").write_text(judged, encoding="utf-8")
    (tmp_path / "run").write_text(hits, encoding="utf-8")
    ours = measured(runs, collection)["system"]
    for name in MEASURES:
        measure = ir_measures.parse_measure(name.replace("Recall", "R"))
        theirs = measure.calc_aggregate(
            ir_measures.read_trec_qrels(str(tmp_path / "qrels")), ir_measures.read_trec_run(str(tmp_path / "run"))
        )
        assert sum(ours[name].values()) / len(ours[name]) == pytest.approx(theirs, abs=1e-9), name


def test_measures_follow_their_formulas() -> None:
    runs, collection = some_runs()
    values = measured(runs, collection)["system"]
    for query, grades in collection.dataset.qrels.items():
        hits = list(runs["system"][query])
        gains = [grades.get(doc, 0) for doc in hits]
        ideal = sorted(grades.values(), reverse=True)[:10]
        ranks = [rank for rank, gain in enumerate(gains, 1) if gain]
        wanted = {
            "nDCG@10": sum(gain / log2(rank + 1) for rank, gain in enumerate(gains[:10], 1))
            / sum(gain / log2(rank + 1) for rank, gain in enumerate(ideal, 1)),
            "RR@10": next((1 / rank for rank in ranks if rank <= 10), 0.0),
            "AP": sum(place / rank for place, rank in enumerate(ranks, 1)) / 5,
        }
        wanted |= {f"Recall@{k}": sum(rank <= k for rank in ranks) / 5 for k in (1, 10, 100)}
        wanted |= {f"Success@{k}": float(any(rank <= k for rank in ranks)) for k in (1, 5, 10)}
        assert {name: values[name][query] for name in MEASURES} == pytest.approx(wanted, abs=1e-9)


def test_quality_reports_every_system_and_every_pair(runs: dict[str, Any], collection: Collection) -> None:
    found = quality({**runs, "a peer": runs["bm25"]}, collection)
    assert set(found["systems"]) == {"bm25", "dense", "docid", "hybrid", "rrf", "a peer"}
    assert len(found["comparisons"]) == 5 * 4 / 2 + 1
    assert found["questions"] == 3
    bm25 = found["systems"]["bm25"]["nDCG@10"]
    assert bm25["low"] <= bm25["mean"] <= bm25["high"]
    assert json.loads(json.dumps(found)) == found


def test_files_by_question_give_the_runs_back(runs: dict[str, Any], collection: Collection, tmp_path: Path) -> None:
    write_questions(tmp_path / "new" / "questions.jsonl", runs, collection)
    back = read_runs(tmp_path / "new" / "questions.jsonl")
    assert back == runs
    assert {query: list(answer) for query, answer in back["rrf"].items()} == {
        query: list(answer) for query, answer in runs["rrf"].items()
    }
    first = json.loads((tmp_path / "new" / "questions.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["judged"] == {"cat": 1}
    assert set(first["systems"]["bm25"]["measures"]) == set(MEASURES)


def test_reciprocal_ranks_are_summed() -> None:
    fused = reciprocal_ranks(lambda texts, k: [{"a": 9.0, "b": 8.0}], lambda texts, k: [{"b": 0.5, "c": 0.4}])
    (answer,) = fused(["?"], 2)
    assert answer == {"b": 1 / 62 + 1 / 61, "a": 1 / 61}


def test_slices_go_by_length_by_how_well_documents_are_known_and_by_train(collection: Collection) -> None:
    found = slices(collection)
    assert found["documents: seen in train"] == ["q1"]
    assert found["documents: unseen in train"] == ["q2", "q3"]
    assert found["documents: head"] == ["q1"]
    assert found["documents: tail"] == ["q2", "q3"]
    by_length = [queries for name, queries in found.items() if name.startswith("length")]
    assert sorted(query for queries in by_length for query in queries) == ["q1", "q2", "q3"]
    rows = sliced(collection, {"s": {"q1": 1.0, "q2": 0.0, "q3": 0.5}})
    assert rows["documents: tail"] == {"questions": 2, "s": 0.25}


def test_an_oracle_takes_the_best_of_each_question() -> None:
    found = oracle({"a": {"q": 1.0, "r": 0.0, "s": 0.0}, "b": {"q": 0.5, "r": 0.5, "s": 0.0}}, ["a", "b"])
    assert found["value"] == pytest.approx((1 + 0.5) / 3)
    assert found["gain over the best retriever"] == pytest.approx((1 + 0.5) / 3 - 1 / 3)
    assert found["best on"] == pytest.approx({"a": 1 / 3, "b": 1 / 3})


def test_complementarity_counts_right_documents() -> None:
    hits = dict.fromkeys("abcdefghij", 1.0)
    runs = {"one": {"q": {**hits, "late": 0.1}}, "two": {"q": {"late": 1.0, "a": 0.5}}}
    found = complementarity(runs, {"q": {"a": 1, "b": 2, "late": 1, "never": 1, "no": 0}}, ["one", "two"])
    assert found["right documents"] == 4
    assert found["found by one alone"] == {"one": 1 / 4, "two": 1 / 4}
    assert (found["found by all"], found["found by none"]) == (1 / 4, 1 / 4)
    assert found["missed by B, found by A"] == {"A one, B two": 1 / 2, "A two, B one": 1 / 2}


def test_the_fingerprint_changes_with_documents_questions_and_judgements(zoo: Path) -> None:
    before = read_collection(str(zoo)).fingerprint
    assert read_collection(str(zoo)).fingerprint == before
    for name, old, new in [
        ("corpus.jsonl", "purr", "purrr"),
        ("queries.jsonl", "who purrs", "who purred"),
        ("qrels/test.tsv", "q2\tbee\t2", "q2\tbee\t1"),
    ]:
        text = (zoo / name).read_text(encoding="utf-8")
        (zoo / name).write_text(text.replace(old, new), encoding="utf-8")
        after = read_collection(str(zoo)).fingerprint
        assert after != before
        before = after


def test_a_bundle_is_asked_the_questions_of_a_dataset(zoo: Path, embeddings: Any, tmp_path: Path) -> None:
    documents = read_collection(str(zoo)).documents
    encoder = EmbeddingsEncoder(embeddings)
    HybridIndex.build(documents[:6], encoder, Config(docid_levels=3), tmp_path / "bundle")
    found = read_collection(str(tmp_path / "bundle"), questions=str(zoo))
    assert len(found.documents) == 6
    assert set(found.dataset.queries) == {"q1", "q2", "q3"}
    with pytest.raises(InputError, match="--questions"):
        read_collection(str(tmp_path / "bundle"))


def _without_judgements(zoo: Path) -> None:
    for path in (zoo / "qrels").iterdir():
        path.unlink()


def _unknown_document(zoo: Path) -> None:
    with (zoo / "qrels" / "test.tsv").open("a", encoding="utf-8") as file:
        file.write("q1\tunicorn\t1\n")


def _unknown_query(zoo: Path) -> None:
    with (zoo / "qrels" / "test.tsv").open("a", encoding="utf-8") as file:
        file.write("q9\tcat\t1\n")


def _query_twice(zoo: Path) -> None:
    with (zoo / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"_id": "q1", "text": "again"}\n')


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_judgements, r"zoo has no split test \(qrels/test.tsv\); there are none"),
        (_unknown_document, r"qrels/test.tsv:6: document 'unicorn' is not in the corpus"),
        (_unknown_query, r"qrels/test.tsv:6: query 'q9' is not in .*queries.jsonl"),
        (_query_twice, r"queries.jsonl:5: query 'q1' is given twice"),
    ],
)
def test_bad_datasets_are_named_with_file_and_line(zoo: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(zoo)
    with pytest.raises(CorpusError, match=message):
        read_collection(str(zoo))


def test_a_split_that_does_not_exist_is_named(zoo: Path) -> None:
    with pytest.raises(CorpusError, match=r"no split dev .*; there are test, train"):
        read_collection(str(zoo), "dev")
