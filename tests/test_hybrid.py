"""The pipeline against brute force: fusion over the union, filters, deletions, codebooks, explanations."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rank_bm25

from hybridret.bm25 import Tokenizer
from hybridret.changes import Changes
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder, TransformerEncoder
from hybridret.errors import BundleError, InputError
from hybridret.fusion import RULES
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Detail, Document, Hit

WORDS = [f"{consonant}{vowel}{end}" for consonant in "bdfgklmnprst" for vowel in "aeiou" for end in "nrx"]
DEPTH = 10


def make_documents(n: int, seed: int = 0) -> list[Document]:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))) for _ in range(n)]
    return [Document(f"d{at:03}", text, {"group": int(at % 3), "even": at % 2 == 0}) for at, text in enumerate(texts)]


def make_queries(n: int, seed: int = 1) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=3)) for _ in range(n)]


@pytest.fixture
def documents() -> list[Document]:
    return make_documents(60)


@pytest.fixture
def queries() -> list[str]:
    return make_queries(6)


@pytest.fixture
def build(embeddings: Any) -> Callable[..., HybridIndex]:
    def build(documents: list[Document], path: Path | None = None, **settings: Any) -> HybridIndex:
        config = Config(**{"docid_levels": 3, "docid_codes": 8, "depth": DEPTH, **settings})
        return HybridIndex.build(documents, EmbeddingsEncoder(embeddings), config, path)

    return build


@pytest.fixture
def index(build: Callable[..., HybridIndex], documents: list[Document]) -> HybridIndex:
    return build(documents)


def all_scores(index: HybridIndex, query: str, retriever: str, **asked: Any) -> dict[str, float]:
    """One retriever's score of every document."""
    return {hit.doc_id: hit.score for hit in index.search([query], 10_000, retrievers=[retriever], **asked)[0]}


def ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda doc_id: (-scores[doc_id], doc_id))


def fused_by_hand(
    index: HybridIndex, query: str, weights: dict[str, float], rule: str, k: int, **asked: Any
) -> list[tuple[str, float]]:
    """The fusion as the design words it: the union of top candidates, true scores everywhere, ties by id."""
    scores = {name: all_scores(index, query, name, **asked) for name in RETRIEVERS}
    top = {name: ranked(scores[name])[: max(k, DEPTH)] for name in RETRIEVERS}
    pool = sorted({doc_id for name in RETRIEVERS if weights.get(name) for doc_id in top[name]})
    fused = dict.fromkeys(pool, 0.0)
    for name in RETRIEVERS:
        weight = weights.get(name, 0.0) / sum(weights.values())
        low, high = min(scores[name][doc] for doc in pool), max(scores[name][doc] for doc in pool)
        for doc_id in pool:
            if rule == "convex":
                fused[doc_id] += weight * (scores[name][doc_id] - low) / ((high - low) or 1.0)
            elif doc_id in top[name]:
                fused[doc_id] += weight / (60 + top[name].index(doc_id) + 1)
    order = sorted(fused, key=lambda doc_id: (-round(fused[doc_id], 12), doc_id))[:k]
    return [(doc_id, fused[doc_id]) for doc_id in order]


def pairs(hits: list[Hit]) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in hits]


def assert_same(found: list[tuple[str, float]], wanted: list[tuple[str, float]]) -> None:
    assert [doc_id for doc_id, _ in found] == [doc_id for doc_id, _ in wanted]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in wanted], atol=1e-6)


@pytest.mark.parametrize("rule", ["convex", "rrf"])
@pytest.mark.parametrize(
    "weights",
    [
        {"dense": 0.5, "bm25": 0.5},
        {"dense": 1, "bm25": 1, "docid": 1},
        {"dense": 0.2, "docid": 0.8},
        {"bm25": 3},
    ],
)
def test_fusion_is_over_the_union_with_true_scores(
    build: Callable[..., HybridIndex],
    documents: list[Document],
    queries: list[str],
    rule: str,
    weights: dict[str, float],
) -> None:
    index = build(documents, fusion=rule)
    for query, hits in zip(queries, index.search(queries, 12, weights=weights), strict=True):
        assert_same(pairs(hits), fused_by_hand(index, query, weights, rule, 12))


def test_every_hit_carries_every_retrievers_true_score_and_its_rank_among_that_ones_own(
    index: HybridIndex, queries: list[str]
) -> None:
    without_rank = 0
    for query in queries:
        for hit in index.search([query], 10, weights={"dense": 1, "bm25": 1, "docid": 1})[0]:
            assert tuple(hit.details) == RETRIEVERS
            for name, detail in hit.details.items():
                scores = all_scores(index, query, name)
                assert detail.score == pytest.approx(scores[hit.doc_id], abs=1e-9)
                rank = ranked(scores).index(hit.doc_id) + 1
                assert detail.rank == (rank if rank <= DEPTH else None)
                without_rank += detail.rank is None
    assert without_rank


def test_dense_scores_are_cosines(index: HybridIndex, documents: list[Document], embeddings: Any) -> None:
    query = np.array(embeddings.embed_query("bar dex"))
    for document in documents[:10]:
        vector = np.array(embeddings.embed_documents([document.text])[0])
        cosine = query @ vector / np.linalg.norm(query) / np.linalg.norm(vector)
        assert all_scores(index, "bar dex", "dense")[document.doc_id] == pytest.approx(cosine, abs=1e-6)


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_a_single_retriever_gives_its_own_scores_best_first(
    index: HybridIndex, queries: list[str], retriever: str
) -> None:
    for query in queries:
        hits = index.search([query], 7, retrievers=[retriever])[0]
        scores = all_scores(index, query, retriever)
        assert len(scores) == 60
        assert [hit.doc_id for hit in hits] == ranked(scores)[:7]
        for place, hit in enumerate(hits, 1):
            assert hit.details == {retriever: Detail(place, hit.score)}


@pytest.mark.parametrize("retrievers", [["dense"], ["bm25"], ["docid"], list(RETRIEVERS)])
@pytest.mark.parametrize("rule", ["convex", "rrf"])
def test_equal_scores_are_ordered_by_id_also_where_k_cuts_through_them(
    build: Callable[..., HybridIndex], retrievers: list[str], rule: str
) -> None:
    ids = ["m", "z", "B", "a", "é", "10", "9", "猫"]
    index = build([Document(doc_id, "the very same text", {}) for doc_id in ids], fusion=rule)
    for k in range(1, len(ids) + 1):
        hits = index.search(["same text"], k, retrievers=retrievers)[0]
        if rule == "convex" or len(retrievers) == 1:
            assert len({hit.score for hit in hits}) == 1
        assert [hit.doc_id for hit in hits] == sorted(ids)[:k]


def test_a_retriever_of_weight_zero_adds_no_candidates(index: HybridIndex, queries: list[str]) -> None:
    for query in queries:
        hits = index.search([query], DEPTH, weights={"bm25": 1, "dense": 0})[0]
        assert [hit.doc_id for hit in hits] == ranked(all_scores(index, query, "bm25"))[:DEPTH]
        assert len(index.search([query], 3 * DEPTH, weights={"bm25": 1})[0]) == 3 * DEPTH


def test_weights_matter_by_their_ratio_alone(index: HybridIndex, queries: list[str]) -> None:
    small, large = {"dense": 0.2, "bm25": 0.3}, {"dense": 20, "bm25": 30, "docid": 0}
    for one, other in zip(index.search(queries, weights=small), index.search(queries, weights=large), strict=True):
        assert_same(pairs(one), pairs(other))


@pytest.mark.parametrize("filter", [{"group": 1}, {"group": 2, "even": True}, {"group": None}, {"group": 9}])
@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_each_retriever_finds_the_best_of_what_the_filter_leaves(
    index: HybridIndex, documents: list[Document], queries: list[str], filter: dict[str, Any], retriever: str
) -> None:
    left = {
        document.doc_id
        for document in documents
        if all(document.metadata.get(key) == value for key, value in filter.items())
    }
    for query in queries:
        scores = {doc: score for doc, score in all_scores(index, query, retriever).items() if doc in left}
        hits = index.search([query], 5, filter=filter, retrievers=[retriever])[0]
        assert_same(pairs(hits), [(doc_id, scores[doc_id]) for doc_id in ranked(scores)[:5]])


def test_the_fusion_is_over_what_the_filter_leaves(
    build: Callable[..., HybridIndex], documents: list[Document], queries: list[str]
) -> None:
    index = build(documents, fusion="convex")
    weights = {"dense": 1, "bm25": 1, "docid": 1}
    for query in queries:
        hits = index.search([query], 15, filter={"group": 1}, weights=weights)[0]
        assert_same(pairs(hits), fused_by_hand(index, query, weights, "convex", 15, filter={"group": 1}))


def test_a_filter_sees_every_change(index: HybridIndex) -> None:
    def found() -> set[str]:
        return {hit.doc_id for hit in index.search(["bar"], 100, filter={"group": 1})[0]}

    before = found()
    index.add([Document("new", "bar", {"group": 1})])
    assert found() == before | {"new"}
    index.add([Document("new", "bar", {"group": 2})], replace=True)
    assert found() == before
    index.delete(sorted(before)[:3])
    assert found() == set(sorted(before)[3:])


def test_unchanged_filters_of_many_values_stay_right(index: HybridIndex, documents: list[Document]) -> None:
    for value in [*range(100), 1]:
        hits = index.search(["bar"], 100, filter={"group": value})[0]
        assert len(hits) == sum(document.metadata["group"] == value for document in documents)


def test_deleted_documents_never_come_back(index: HybridIndex, queries: list[str]) -> None:
    for query in queries:
        gone = [hit.doc_id for hit in index.search([query], 5)[0]]
        assert index.delete([*gone, "never there", gone[0]]) == gone
        for retrievers in ([name] for name in RETRIEVERS):
            assert not {hit.doc_id for hit in index.search([query], 100, retrievers=retrievers)[0]} & set(gone)
        hits = index.search([query], 100)[0]
        assert len(hits) <= len(index)
        assert not {hit.doc_id for hit in hits} & set(gone)
        assert index.get(gone) == []
    assert len(index) == 30
    assert len(index.search(["bar"], 100, retrievers=["docid"])[0]) == 30


def test_after_changes_bm25_and_dense_score_as_if_built_anew(
    build: Callable[..., HybridIndex], documents: list[Document], queries: list[str]
) -> None:
    index = build(documents[:40])
    index.delete([document.doc_id for document in documents[10:25]])
    index.add(documents[40:])
    index.add([documents[0]._replace(text="bar bar ban")], replace=True)
    kept = [documents[0]._replace(text="bar bar ban"), *documents[1:10], *documents[25:]]
    fresh = build(kept)
    for query in queries:
        for name in ("bm25", "dense"):
            changed, anew = all_scores(index, query, name), all_scores(fresh, query, name)
            assert changed == pytest.approx(anew, abs=1e-9)


def test_deleting_all_then_adding_works(index: HybridIndex) -> None:
    index.delete(sorted(index.ids()))
    assert len(index) == 0
    assert index.search(["bar"]) == [[]]
    index.add([Document("a", "bar", {})])
    assert [hit.doc_id for hit in index.search(["bar"])[0]] == ["a"]


def test_an_index_that_grew_from_nothing_finds_everything(build: Callable[..., HybridIndex]) -> None:
    index = build([])
    assert index.search(["bar"]) == [[]]
    for number, document in enumerate(make_documents(20), 1):
        index.add([document])
        for retriever in RETRIEVERS:
            assert len(index.search(["bar"], 100, retrievers=[retriever])[0]) == number


def codebook_file(path: Path) -> tuple[int, bytes]:
    (file,) = path.glob("codebooks.*.safetensors")
    return len(file.read_bytes()), file.read_bytes()


def test_codebooks_of_few_documents_are_fitted_again_when_a_tenth_is_new_and_not_before(
    build: Callable[..., HybridIndex], tmp_path: Path
) -> None:
    documents = make_documents(60)
    index = build(documents[:40], tmp_path / "b")
    first = codebook_file(tmp_path / "b")
    index.add(documents[40:42])
    index.add(documents[42:43])
    assert codebook_file(tmp_path / "b") == first
    index.add(documents[:1], replace=True)
    assert codebook_file(tmp_path / "b") != first


def test_codebooks_of_many_documents_are_fitted_again_at_fourfold_growth(
    build: Callable[..., HybridIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.generation._MANY_PER_CODE", 0)
    documents = make_documents(60)
    index = build(documents[:10], tmp_path / "b")
    first = codebook_file(tmp_path / "b")
    index.add(documents[10:39])
    assert codebook_file(tmp_path / "b") == first
    index.add(documents[39:40])
    assert codebook_file(tmp_path / "b") != first


def test_docids_once_given_stay_until_the_codebooks_are_fitted_again(
    build: Callable[..., HybridIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.generation._MANY_PER_CODE", 0)
    documents = make_documents(60)
    index = build(documents[:20])

    def docids() -> dict[str, list[int]]:
        return {
            document.doc_id: [
                step["code"] for step in index.explain("bar", document.doc_id)["retrievers"]["docid"]["path"]
            ]
            for document in index.get([document.doc_id for document in documents])
        }

    first = docids()
    index.add(documents[20:60])
    grown = docids()
    assert {doc_id: grown[doc_id] for doc_id in first} == first
    assert len({tuple(docid) for docid in grown.values()}) == 60


@pytest.mark.parametrize("rule", RULES)
def test_an_explanation_adds_up_to_the_score_that_search_gives(
    build: Callable[..., HybridIndex], documents: list[Document], queries: list[str], rule: str
) -> None:
    index = build(documents, fusion=rule, weights={"dense": 0.4, "bm25": 0.4, "docid": 0.2})
    for query in queries:
        for rank, hit in enumerate(index.search([query], 5)[0], 1):
            reason = index.explain(query, hit.doc_id)
            assert json.loads(json.dumps(reason, allow_nan=False)) == reason
            assert (reason["query"], reason["doc_id"], reason["rank"]) == (query, hit.doc_id, rank)
            assert reason["score"] == pytest.approx(hit.score, abs=1e-12)
            parts = reason["retrievers"]
            assert sum(part["contribution"] for part in parts.values()) == pytest.approx(hit.score, abs=1e-12)
            assert {name: part["weight"] for name, part in parts.items()} == pytest.approx(
                {"dense": 0.4, "bm25": 0.4, "docid": 0.2}
            )
            for name, part in parts.items():
                assert (part["rank"], part["score"]) == pytest.approx(hit.details[name][:2])
            assert sum(parts["bm25"]["terms"].values()) == pytest.approx(parts["bm25"]["score"])
            path = parts["docid"]["path"]
            assert sum(step["log_prob"] for step in path) == pytest.approx(parts["docid"]["score"])


def test_a_document_that_would_not_be_found_is_explained_too(index: HybridIndex, queries: list[str]) -> None:
    last = ranked(all_scores(index, queries[0], "dense"))[-1]
    reason = index.explain(queries[0], last)
    assert reason["doc_id"] == last
    assert reason["retrievers"]["dense"]["rank"] is None
    parts = sum(part["contribution"] for part in reason["retrievers"].values())
    assert parts + reason["agreement"] + reason["offset"] == pytest.approx(reason["log_odds"])
    assert 1 / (1 + math.exp(-reason["log_odds"])) == pytest.approx(reason["score"])


def test_diversity_one_puts_unlike_documents_next(build: Callable[..., HybridIndex]) -> None:
    documents = [Document(f"a{number}", f"bar bar bar{' ban' * number}", {}) for number in range(3)]
    index = build([*documents, Document("other", "bar tix tox tux", {})])
    plain = [hit.doc_id for hit in index.search(["bar"], 2, retrievers=["dense"])[0]]
    diverse = [hit.doc_id for hit in index.search(["bar"], 2, retrievers=["dense"], diversity=0.9)[0]]
    assert plain == ["a0", "a1"]
    assert diverse == ["a0", "other"]
    none = [hit.doc_id for hit in index.search(["bar"], 2, retrievers=["dense"], diversity=0.0)[0]]
    assert none == plain


def test_answers_do_not_depend_on_what_else_is_asked(index: HybridIndex, queries: list[str]) -> None:
    together = index.search(queries, 8)
    for query, hits in zip(queries, together, strict=True):
        assert_same(pairs(hits), pairs(index.search([query], 8)[0]))


def test_bm25_alone_asks_the_encoder_nothing(index: HybridIndex, embeddings: Any) -> None:
    embeddings.batches.clear()
    index.search(["bar"], retrievers=["bm25"])
    assert embeddings.batches == []
    index.search(["bar"], retrievers=RETRIEVERS)
    assert embeddings.batches == [["bar"]]


def test_a_batch_is_one_pass_of_the_encoder(tiny_encoder: TransformerEncoder, documents: list[Document]) -> None:
    passes: list[list[str]] = []

    class Counting:
        name, max_tokens = tiny_encoder.name, tiny_encoder.max_tokens
        encode_documents, count_cut_tokens, save = (
            tiny_encoder.encode_documents,
            tiny_encoder.count_cut_tokens,
            tiny_encoder.save,
        )

        def encode_queries(self, texts: list[str]) -> Any:
            passes.append(list(texts))
            return tiny_encoder.encode_queries(texts)

    index = HybridIndex.build(documents, Counting(), Config(docid_levels=3))
    index.search(["bar", " ", "dex", ""], 3)
    assert passes == [["bar", "dex"]]


def test_info_counts_what_is_there(
    build: Callable[..., HybridIndex], documents: list[Document], tmp_path: Path
) -> None:
    index = build(documents, tmp_path / "b")
    index.delete(["d000", "d001"])
    facts = index.info()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["documents"], facts["path"]) == (58, str(tmp_path / "b"))
    assert (facts["model"], facts["dimension"]) == ("langchain:StubEmbeddings", 32)
    assert facts["docid"]["levels"] == 3
    assert facts["bytes_per_document"]["docid"] >= 3


def test_small_collections_have_fewer_codes_and_info_says_so(build: Callable[..., HybridIndex]) -> None:
    facts = build(make_documents(5), docid_codes=256).info()
    assert facts["docid"]["codes"] == 5
    assert facts["docid"]["codes_clamped"] is True
    assert build(make_documents(60)).info()["docid"]["codes_clamped"] is False


def test_what_the_window_cuts_off_is_counted(tiny_encoder: TransformerEncoder) -> None:
    documents = [Document("short", "a b c", {}), Document("long", "x " * 100, {}), Document("longer", "x " * 200, {})]
    index = HybridIndex.build(documents, tiny_encoder, Config(docid_levels=2))
    assert index.info()["cut_by_window"] == {"documents": 2, "tokens": 2 * (2 - 64) + 300}
    index.delete(["longer"])
    assert index.info()["cut_by_window"] == {"documents": 1, "tokens": 102 - 64}


def test_two_that_opened_one_bundle_see_and_keep_each_others_changes(
    build: Callable[..., HybridIndex], documents: list[Document], embeddings: Any, tmp_path: Path
) -> None:
    one = build(documents, tmp_path / "b")
    other = HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))
    one.add([Document("new", "bar", {})])
    other.add([Document("newer", "bar", {})])
    one.delete([documents[0].doc_id])
    expected = {document.doc_id for document in documents[1:]} | {"new", "newer"}
    opened = HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))
    answers = [index.search(["bar"], 100) for index in (one, other, opened)]
    assert {hit.doc_id for hit in answers[0][0]} == expected
    assert answers[0] == answers[1] == answers[2]
    assert one.ids() == other.ids() == opened.ids() == expected


def test_a_bundle_saved_over_itself_goes_on_being_durable(
    build: Callable[..., HybridIndex], documents: list[Document], embeddings: Any, tmp_path: Path
) -> None:
    index = build(documents, tmp_path / "b")
    index.save(tmp_path / "b")
    index.add([Document("new", "bar", {})])
    assert "new" in HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings)).ids()


def test_whoever_has_a_replaced_bundle_open_goes_on_with_the_new_one(
    build: Callable[..., HybridIndex], documents: list[Document], embeddings: Any, tmp_path: Path
) -> None:
    old = build(documents, tmp_path / "b")
    build(documents[:5], tmp_path / "b")
    assert len(old.search(["bar"], 100)[0]) == 5
    build(documents[:7], tmp_path / "b")
    old.add([Document("new", "bar", {})])
    opened = HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))
    assert len(opened) == len(opened.search(["bar"], 100)[0]) == 8
    assert opened.search(["bar"], 100) == old.search(["bar"], 100)


def test_only_the_current_generations_files_lie_in_a_bundle_and_they_are_few(
    build: Callable[..., HybridIndex], documents: list[Document], tmp_path: Path
) -> None:
    index = build(documents, tmp_path / "b")
    for number in range(40):
        index.add([Document(f"new{number}", "bar", {})])
        names = {path.name.partition(".")[0] for path in (tmp_path / "b").iterdir()}
        assert names == {"vectors", "bm25", "codebooks", "docid", "trie", "hybridret"}
        files = index.info()["files"]
        on_disk = len(list((tmp_path / "b").glob("*.safetensors")))
        assert on_disk == sum(files.values())
        assert max(files.values()) <= 7


def test_vectors_of_another_dimension_are_refused_and_nothing_is_added(
    index: HybridIndex, make_embeddings: Callable[..., Any], embeddings: Any
) -> None:
    embeddings.dimension = 16
    with pytest.raises(InputError, match="16 dimensions"):
        index.add([Document("new", "bar", {})])
    assert "16 dimensions, the index has 32" in index.search(["bar"])[0][0].failed["dense"]
    embeddings.dimension = 32
    assert index.get(["new"]) == []
    assert len(index.search(["bar"], 100, retrievers=["dense"])[0]) == 60


@pytest.mark.parametrize(
    "settings",
    [
        {"depth": 0},
        {"docid_levels": 0},
        {"docid_codes": -1},
        {"docid_levels": 2.5},
        {"fusion": "magic"},
        {"index": "magic"},
        {"language": "klingon"},
    ],
)
def test_settings_out_of_range_are_refused(build: Callable[..., HybridIndex], settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        build([], **settings)


@pytest.mark.parametrize(
    "asked",
    [
        {"queries": "one string"},
        {"queries": [5]},
        {"k": 0},
        {"k": -1},
        {"k": 2.0},
        {"k": True},
        {"k": "3"},
        {"k": None},
        {"retrievers": []},
        {"retrievers": "dense"},
        {"retrievers": ["dense", "dense"]},
        {"retrievers": ["colbert"]},
        {"weights": {"colbert": 1.0}},
        {"weights": {"dense": -1}},
        {"weights": {"dense": float("nan")}},
        {"weights": {"dense": "1"}},
        {"diversity": 1.5},
        {"diversity": float("nan")},
        {"filter": {"a": {"$in": 1}}},
        {"filter": {1: "a", "b": 2}},
        {"filter": "group"},
    ],
)
def test_arguments_out_of_range_are_refused(index: HybridIndex, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        index.search(**{"queries": ["bar"], **asked})


@pytest.mark.parametrize("k", [1, 59, 60, 61, 10_000])
@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_k_beyond_the_collection_is_clamped(
    build: Callable[..., HybridIndex], documents: list[Document], k: int, kind: str
) -> None:
    index = build(documents, index=kind)
    for retrievers in (["dense"], ["bm25"], ["docid"], RETRIEVERS):
        assert len(index.search(["bar"], k, retrievers=retrievers)[0]) == min(k, 60)


def test_a_change_that_finds_the_bundle_locked_leaves_the_other_writers_files_alone(
    build: Callable[..., HybridIndex], documents: list[Document], embeddings: Any, tmp_path: Path
) -> None:
    build(documents, tmp_path / "b")
    index = HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings), lock_timeout=0.0)
    other = sqlite3.connect(tmp_path / "b" / "hybridret.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    (tmp_path / "b" / "vectors.2.safetensors").touch()
    before = sorted(path.name for path in (tmp_path / "b").iterdir())
    with pytest.raises(BundleError, match="another process is writing"):
        index.delete([documents[0].doc_id])
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == before
    other.execute("ROLLBACK")
    other.close()
    assert index.delete([documents[0].doc_id]) == [documents[0].doc_id]


def test_ids_may_come_from_a_generator_but_not_as_one_string(
    build: Callable[..., HybridIndex], documents: list[Document]
) -> None:
    index, doc_id = build(documents), documents[0].doc_id
    assert index.delete(one for one in [doc_id]) == [doc_id]
    for call in (index.delete, index.get):
        with pytest.raises(InputError, match="list of strings"):
            call(doc_id)


def test_an_explanation_is_of_the_search_that_was_asked(
    build: Callable[..., HybridIndex], documents: list[Document]
) -> None:
    index, text = build(documents), documents[0].text
    for names in (["bm25"], ["dense", "docid"]):
        for hit in index.search([text], 5, retrievers=names)[0]:
            reason = index.explain(text, hit.doc_id, retrievers=names)
            assert reason["score"] == pytest.approx(hit.score, abs=1e-9)
            assert list(reason["retrievers"]) == names


def test_batches_of_any_size_are_answered_as_single_queries_are(
    build: Callable[..., HybridIndex], documents: list[Document]
) -> None:
    index = build(documents)
    many = [documents[position % len(documents)].text for position in range(300)]
    answers = index.search(many, 3)
    assert len(answers) == 300
    single = {text: [hit.doc_id for hit in index.search([text], 3)[0]] for text in set(many)}
    assert [[hit.doc_id for hit in hits] for hits in answers] == [single[text] for text in many]


def test_compaction_gives_the_scores_of_rank_bm25s_formula_with_the_idf_of_bm25_plus(
    build: Callable[..., HybridIndex], documents: list[Document], queries: list[str], embeddings: Any, tmp_path: Path
) -> None:
    index, tokenizer = build(documents[:30], tmp_path / "b"), Tokenizer("english")
    for start in range(30, 60, 6):
        index.add(documents[start : start + 6])
        index.delete([documents[start // 2].doc_id, documents[start].doc_id])
    index.compact()
    left = [document for document in documents if document.doc_id in index.ids()]
    assert len(left) == 50
    theirs = rank_bm25.BM25Plus([tokenizer.document_terms(document.text) for document in left], delta=0)
    for handle in (index, HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))):
        for query in queries:
            expected = theirs.get_scores(tokenizer(query)).tolist()
            assert all_scores(handle, query, "bm25") == pytest.approx(
                {document.doc_id: score for document, score in zip(left, expected, strict=True)}, rel=1e-12, abs=1e-12
            )


def test_compaction_keeps_docids_and_every_other_score(
    build: Callable[..., HybridIndex], documents: list[Document], queries: list[str]
) -> None:
    index = build(documents)
    index.delete([document.doc_id for document in documents[::3]])
    before = {name: [all_scores(index, query, name) for query in queries] for name in ("dense", "docid")}
    index.compact()
    assert {name: [all_scores(index, query, name) for query in queries] for name in before} == before
    assert index.info()["deleted_rows"] == 0
    assert len(index) == 40


def test_an_index_compacts_itself_when_a_third_of_many_rows_is_dead(
    build: Callable[..., HybridIndex], documents: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.generation._COMPACT_FROM", 12)
    index, dead = build(documents[:30], tmp_path / "b"), []
    for document in documents[:14]:
        index.delete([document.doc_id])
        dead.append(index.info()["deleted_rows"])
    assert dead == [*range(1, 12), 0, 1, 2]
    monkeypatch.setattr("hybridret.generation._COMPACT_FROM", 2)
    monkeypatch.setattr("hybridret.generation._COMPACT_SHARE", 1)
    index.delete([documents[20].doc_id])
    assert index.info()["deleted_rows"] == 3, "not every row is dead"


def test_replaced_documents_leave_dead_rows_that_compaction_takes_away(
    build: Callable[..., HybridIndex], documents: list[Document]
) -> None:
    index = build(documents[:10])
    index.add([document._replace(text="bar") for document in documents[:4]], replace=True)
    assert (len(index), index.info()["deleted_rows"]) == (10, 4)
    index.compact()
    assert (len(index), index.info()["deleted_rows"]) == (10, 0)
    assert [document.text for document in index.get([documents[0].doc_id])] == ["bar"]


def test_saving_an_index_whose_bundle_was_replaced_saves_the_new_one(
    build: Callable[..., HybridIndex], documents: list[Document], embeddings: Any, tmp_path: Path
) -> None:
    old = build(documents, tmp_path / "b")
    build(documents[:5], tmp_path / "b")
    old.save(tmp_path / "c")
    assert len(HybridIndex.open(tmp_path / "c", EmbeddingsEncoder(embeddings))) == 5
    assert len(old) == 5


def test_saving_an_index_whose_bundle_is_gone_is_said(
    build: Callable[..., HybridIndex], documents: list[Document], tmp_path: Path
) -> None:
    index = build(documents, tmp_path / "b")
    shutil.rmtree(tmp_path / "b")
    for target in ("b", "c"):
        with pytest.raises(BundleError, match="has been deleted"):
            index.save(tmp_path / target)
    assert not any(tmp_path.iterdir())


def test_compacting_an_index_whose_bundle_was_replaced_compacts_the_new_one(
    build: Callable[..., HybridIndex], documents: list[Document], tmp_path: Path
) -> None:
    old = build(documents, tmp_path / "b")
    new = build(documents[:5], tmp_path / "b")
    new.delete([documents[0].doc_id])
    old.compact()
    assert (len(old), old.info()["deleted_rows"]) == (4, 0)


@pytest.mark.parametrize("is_turned", [False, True], ids=["other dimension", "other vectors"])
@pytest.mark.parametrize("call", ["search", "explain", "add"])
def test_what_was_encoded_before_a_bundle_of_another_model_took_its_place_does_not_meet_the_new_vectors(
    documents: list[Document],
    make_embeddings: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_turned: bool,
    call: str,
) -> None:
    old, new, config = make_embeddings(), make_embeddings(32 if is_turned else 16), Config(docid_levels=3)
    if is_turned:
        real = new._embed
        new._embed = lambda text: [*real(text)[1:], -real(text)[0]]
    in_bundle = [old]
    monkeypatch.setattr(Changes, "bundled_encoder", lambda _: EmbeddingsEncoder(in_bundle[0]))
    HybridIndex.build(documents, EmbeddingsEncoder(old), config, tmp_path / "b")
    opened = HybridIndex.open(tmp_path / "b")
    opened.search(["bar"])

    def replace() -> None:
        old.before = lambda: None
        HybridIndex.build(documents[:20], EmbeddingsEncoder(new), config, tmp_path / "b")
        in_bundle[0] = new

    old.before = replace
    if call == "search":
        found = all_scores(opened, "bar dex", "dense")
        assert found == all_scores(HybridIndex.open(tmp_path / "b"), "bar dex", "dense")
    elif call == "explain":
        score = opened.explain("bar dex", documents[3].doc_id)["retrievers"]["dense"]["score"]
        assert score == all_scores(HybridIndex.open(tmp_path / "b"), "bar dex", "dense")[documents[3].doc_id]
    else:
        added = Document("new", "bar dex", {})
        try:
            opened.add([added])
        except BundleError:
            assert "new" not in opened.ids()
            opened.add([added])
        scores = all_scores(HybridIndex.open(tmp_path / "b"), "bar dex", "dense")
        assert scores["new"] == pytest.approx(1.0, abs=1e-5)
        assert all_scores(opened, "bar dex", "dense") == scores
