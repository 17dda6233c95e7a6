"""The benchmark of the fusion's safety: its rows against slow oracles, its file, and the cache of vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fusion_safety
from benchmarks.fusion_safety import FITTED, MEASURE, SINGLES, UNFITTED, find_collections, measure_collection, summarise
from benchmarks.synthetic.manual import lookups
from benchmarks.systems import own_systems, run
from benchmarks.vector_cache import CachedEncoder, LiftedEncoder
from hybridret.dense import make_encoder
from hybridret.evaluation import evaluate_queries
from hybridret.hybrid import HybridIndex
from tests.conftest import StubEmbeddings


class Counting(StubEmbeddings):
    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


def test_a_row_holds_what_single_searches_give() -> None:
    collection = lookups(20)
    encoder = make_encoder(StubEmbeddings())
    row = measure_collection("lookups-20", [collection, collection], encoder)
    index = HybridIndex.build(collection.documents, encoder)
    assert row["corpora"] == 2
    assert row["documents"] == 40
    assert row["questions"] == 2 * len(collection.dataset.queries)
    singles = {name: [name] for name in SINGLES}
    for system, values in evaluate_queries(index, collection.dataset, systems=singles).items():
        assert row[MEASURE][system] == pytest.approx(np.mean(list(values[MEASURE].values())))
    for system, names in {"bm25": ["bm25"], UNFITTED: list(SINGLES)}.items():
        first = [
            index.search([text], 1, retrievers=names)[0][0].doc_id in collection.dataset.qrels[query]
            for query, text in collection.dataset.queries.items()
        ]
        assert row["success@1"][system] == pytest.approx(np.mean(first))
    best = max(SINGLES, key=row[MEASURE].__getitem__)
    assert row["best single"] == best
    difference = row["difference"][f"{FITTED} - best single"]
    assert difference["mean"] == pytest.approx(row[MEASURE][FITTED] - row[MEASURE][best])
    assert difference["low"] <= difference["mean"] <= difference["high"]
    index.fit()
    threshold = row["threshold"]
    if threshold["median"] is not None:
        assert threshold["median"] == pytest.approx(index.threshold(0.1))
        assert threshold["not found at all"] <= threshold["missed"]


def test_the_summary_counts_losses_and_leaves_lookups_out_of_them() -> None:
    def row(gain: float, first: float = 1.0) -> dict[str, object]:
        systems = (*SINGLES, UNFITTED, FITTED)
        return {
            "questions": 10,
            "success@1": dict.fromkeys(systems, first),
            "difference": {f"{hybrid} - best single": {"mean": gain} for hybrid in (UNFITTED, FITTED)},
        }

    summary = summarise({"a": row(0.05), "b": row(-0.005), "c": row(-0.02), "lookups-20, grown": row(-0.5, 0.8)})
    assert summary["collections"] == 3
    assert summary[FITTED] == {
        "below the best single": ["b", "c"],
        "more than 0.01 below": ["c"],
        "worst": {"collection": "c", "difference": -0.02},
        "mean gain": pytest.approx((0.05 - 0.005 - 0.02) / 3),
    }
    assert summary["look-ups"]["success@1"][FITTED] == pytest.approx(0.8)


def test_rows_of_other_runs_stay_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], zoo: Path
) -> None:
    monkeypatch.setattr(fusion_safety, "make_encoder", lambda _: make_encoder(StubEmbeddings()))
    for name in ("documents-1", str(zoo)):
        arguments = ["fusion_safety", name, "--results", str(tmp_path), "--cache", str(tmp_path / "vectors")]
        monkeypatch.setattr("sys.argv", arguments)
        fusion_safety.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    written = json.loads((tmp_path / "fusion_safety.json").read_text(encoding="utf-8"))["result"]
    assert list(written["collections"]) == ["documents-1", zoo.name]
    assert told == written["summary"]
    assert told["collections"] == 2


def test_copies_of_any_collection_are_found_by_name(zoo: Path) -> None:
    (once,), (twice,) = find_collections(str(zoo)), find_collections(f"{zoo}-x2")
    assert len(twice.documents) == 2 * len(once.documents)
    assert twice.name == f"{once.name}-x2"
    (claims,) = find_collections("claims-x4")
    assert len(claims.documents) == 2000


def test_cached_vectors_are_the_encoders_own_and_no_text_is_encoded_twice(tmp_path: Path) -> None:
    embeddings, other = Counting(), Counting()
    encoder = make_encoder(embeddings)
    texts = ["a cat", "a dog", "a cat", "", "an owl"]
    first = CachedEncoder(encoder, tmp_path)
    np.testing.assert_array_equal(first.encode_documents(texts), make_encoder(other).encode_documents(texts))
    assert sorted(embeddings.texts) == sorted(set(texts))
    again = CachedEncoder(encoder, tmp_path)
    np.testing.assert_array_equal(again.encode_documents(texts[::-1]), first.encode_documents(texts)[::-1])
    assert len(embeddings.texts) == len(set(texts))
    assert again.seconds_saved > 0
    again.encode_queries(["a cat"])
    assert len(embeddings.texts) == len(set(texts)) + 1
    np.testing.assert_array_equal(
        again.encode_documents(["a hen", "a cat"]), make_encoder(other).encode_documents(["a hen", "a cat"])
    )


def test_lifted_cosines_are_those_of_the_encoder_from_the_given_number_on() -> None:
    encoder = make_encoder(StubEmbeddings())
    texts = ["a cat", "a dog", "an owl at night"]
    lifted = LiftedEncoder(encoder, 0.75)
    plain = encoder.encode_queries(texts) @ encoder.encode_documents(texts).T
    close = lifted.encode_queries(texts) @ lifted.encode_documents(texts).T
    np.testing.assert_allclose(close, 0.75 + 0.25 * plain, atol=1e-6)
    np.testing.assert_allclose(np.diag(close), 1.0, atol=1e-6)


def test_a_grown_index_is_measured_as_the_fitted_one() -> None:
    (collection,) = find_collections("two-languages")
    encoder = make_encoder(StubEmbeddings())
    row = measure_collection("two-languages", [collection], encoder, grown=True)
    index = HybridIndex.build([], encoder, fit=True)
    for batch in np.array_split(np.arange(len(collection.documents)), 10):
        index.add([collection.documents[at] for at in batch])
    answers = run(own_systems(index)["hybrid"], collection.dataset.queries)
    assert row["success@1"][FITTED] == np.mean(
        [next(iter(answers[query])) in grades for query, grades in collection.dataset.qrels.items()]
    )
    assert row["fusion"] == index.info()["fusion"]
    assert row["documents"] == len(collection.documents)
