"""HybridRetriever: every promise of the contract, in memory and on disk."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.indexing import DocumentIndex
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from hybridret import HybridRetriever
from hybridret.errors import BundleError, FilterError, HybridretError, InputError, ModelError
from hybridret.types import RETRIEVERS, Hit

QUERIES = ["cats sleep all day", "who makes honey", "fish in the sea", "birds in winter"]
BF16_TOLERANCE = 2e-2


class Noting(BaseCallbackHandler):
    """Notes what the retriever's runs report."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.metadata: list[dict[str, Any]] = []
        self.ended: list[int] = []
        self.failed: list[BaseException] = []

    def on_retriever_start(self, serialized: Any, query: str, **rest: Any) -> None:
        self.started.append(query)
        self.metadata.append(rest.get("metadata") or {})

    def on_retriever_end(self, documents: Any, **rest: Any) -> None:
        self.ended.append(len(documents))

    def on_retriever_error(self, error: BaseException, **rest: Any) -> None:
        self.failed.append(error)


@pytest.fixture
def retriever(retriever: HybridRetriever) -> HybridRetriever:
    """The animals, with scores, which tell more than an order."""
    return retriever.model_copy(update={"with_scores": True})


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def scores(documents: list[Document]) -> list[float]:
    return [document.metadata["hybridret"]["score"] for document in documents]


def assert_same(found: list[Document], wanted: list[Document], tolerance: float = 1e-6) -> None:
    assert ids(found) == ids(wanted)
    np.testing.assert_allclose(scores(found), scores(wanted), atol=tolerance)


# Making one


def test_it_is_a_langchain_retriever_and_document_index(retriever: HybridRetriever) -> None:
    assert isinstance(retriever, BaseRetriever)
    assert isinstance(retriever, DocumentIndex)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_model_is_taken_from_a_folder(tiny_model: Path, kind: Callable[[Path], Any], animals: dict[str, str]) -> None:
    retriever = HybridRetriever.from_texts(animals.values(), ids=animals.keys(), embedding_model=kind(tiny_model))
    for name, text in animals.items():
        assert ids(retriever.invoke(text, k=1)) == [name]


def test_texts_metadatas_and_ids_belong_together(retriever: HybridRetriever, metadatas: list[dict[str, Any]]) -> None:
    (cat,) = retriever.get(["cat"])
    assert cat == Document(
        id="cat", page_content="Cats purr when they are happy and sleep all day", metadata=metadatas[0]
    )


def test_without_ids_they_are_random_and_unique(embeddings: Any) -> None:
    texts = ["same", "same", "same"]
    retriever = HybridRetriever.from_texts(texts, embedding_model=embeddings)
    assert len(set(ids(retriever.invoke("same")))) == 3


def test_documents_keep_their_ids_and_those_without_get_one(embeddings: Any) -> None:
    documents = (Document(id=name, page_content=name, metadata={"x": [1]}) for name in ["a", "b", None] if name)
    more = (Document(page_content="c") for _ in range(1))
    retriever = HybridRetriever.from_documents([*documents, *more], embedding_model=embeddings, k=9)
    found = ids(retriever.invoke("a b c"))
    assert {"a", "b"} < set(found)
    assert len(found) == 3


@pytest.mark.parametrize("kind", ["texts", "documents"])
def test_generators_are_read_once(embeddings: Any, kind: str, animals: dict[str, str]) -> None:
    if kind == "texts":
        retriever = HybridRetriever.from_texts(
            (text for text in animals.values()),
            ({"n": number} for number in range(len(animals))),
            (name for name in animals),
            embedding_model=embeddings,
        )
    else:
        documents = (Document(id=name, page_content=text) for name, text in animals.items())
        retriever = HybridRetriever.from_documents(documents, embedding_model=embeddings)
    assert len(retriever.index) == len(animals)
    added = retriever.add_documents(Document(id=f"new{number}", page_content="x") for number in range(2))
    assert added == ["new0", "new1"]
    assert len(retriever.index) == len(animals) + 2


def test_a_sentence_transformer_object_is_taken(tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model), local_files_only=True)
    retriever = HybridRetriever.from_texts(["cats purr", "dogs bark"], embedding_model=model, k=2)
    assert len(retriever.invoke("cats")) == 2


def test_long_texts_are_split_only_when_asked(embeddings: Any) -> None:
    text = "\n\n".join(f"Paragraph {number} about cats. " + "word " * 80 for number in range(6))
    whole = HybridRetriever.from_texts([text], ids=["a"], embedding_model=embeddings)
    assert len(whole.index) == 1
    chunked = HybridRetriever.from_texts(
        [text, "short"], [{"x": 1}, {}], ["a", "b"], embedding_model=embeddings, chunk=True
    )
    found = chunked.invoke("cats", k=100, filter={"parent": "a"})
    assert len(found) > 2
    assert {(document.metadata["parent"], document.metadata["x"]) for document in found} == {("a", 1)}
    assert sorted(ids(found), key=str) == [f"a#{number}" for number in range(len(found))]
    assert len(chunked.get(["b"])) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"texts": ["a", "b"], "ids": ["x"]},
        {"texts": ["a"], "metadatas": [{}, {}]},
        {"texts": ["a"], "ids": []},
        {"texts": ["a"], "nonsense": 1},
        {"texts": ["a"], "task": "qa"},
        {"texts": ["a"], "fusion": "magic"},
        {"texts": [b"a"]},
    ],
)
def test_arguments_that_do_not_fit_are_refused(embeddings: Any, given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        HybridRetriever.from_texts(**given, embedding_model=embeddings)


@pytest.mark.parametrize("settings", [{"k": 0}, {"k": "many"}, {"diversity": 2}, {"filter": "x"}])
def test_a_setting_out_of_range_is_refused_and_nothing_is_written(
    embeddings: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises((InputError, ValidationError)):
        HybridRetriever.from_texts(["a"], path=tmp_path / "b", embedding_model=embeddings, **settings)
    assert list(tmp_path.iterdir()) == []


# Asking


def test_answers_are_documents_with_score_and_details_of_each_retriever(retriever: HybridRetriever) -> None:
    found = retriever.invoke("cats sleep all day")
    assert len(found) == 4
    assert found[0].id == "cat"
    assert scores(found) == sorted(scores(found), reverse=True)
    for document in found:
        details = document.metadata["hybridret"]
        assert tuple(details) == ("score", *RETRIEVERS)
        for detail in (details[name] for name in RETRIEVERS):
            assert set(detail) == {"rank", "score"}
            assert isinstance(detail["score"], float)
    assert found[0].metadata["hybridret"]["bm25"]["rank"] == 1
    json.dumps([document.metadata for document in found], allow_nan=False)


def test_k_filter_weights_min_score_and_diversity_work_in_constructor_and_call(
    retriever: HybridRetriever, embeddings: Any
) -> None:
    for settings in (
        {"k": 2},
        {"k": 8, "filter": {"legs": 2}},
        {"filter": {"legs": 4, "flies": False}},
        {"weights": {"bm25": 1.0}},
        {"weights": {"dense": 0.3, "docid": 0.7}, "k": 8},
        {"min_score": 0.5},
        {"min_score": 0.0, "k": 8},
        {"diversity": 0.8},
        {"diversity": 0.0},
    ):
        made = HybridRetriever(index=retriever.index, with_scores=True, **settings)
        for query in QUERIES:
            assert_same(made.invoke(query), retriever.invoke(query, **settings))


def test_a_call_overrides_the_constructor(retriever: HybridRetriever) -> None:
    made = HybridRetriever(
        index=retriever.index,
        k=1,
        filter={"legs": 2},
        weights={"bm25": 1.0},
        min_score=0.9,
        diversity=1.0,
        with_scores=True,
    )
    own = {"k": 8, "filter": {}, "weights": {"dense": 1.0}, "min_score": 0.0, "diversity": 0.0}
    assert_same(made.invoke("cats", **own), retriever.invoke("cats", **own))
    assert len(made.invoke("cats", **own)) == 8
    assert len(made.invoke("cats")) <= 1


def test_the_filter_is_met_and_k_is_reached_when_enough_documents_meet_it(retriever: HybridRetriever) -> None:
    found = retriever.invoke("cats purr", k=3, filter={"legs": 2})
    assert sorted(ids(found), key=str) == ["bird", "owl"]
    found = retriever.invoke("cats purr", k=2, filter={"flies": True})
    assert len(found) == 2
    assert all(document.metadata["flies"] for document in found)


def test_min_score_leaves_out_what_is_below_it(retriever: HybridRetriever) -> None:
    every = retriever.invoke("cats sleep all day", k=8)
    bound = scores(every)[2]
    assert_same(retriever.invoke("cats sleep all day", k=8, min_score=bound), every[:3])
    assert retriever.invoke("cats sleep all day", min_score=1.1) == []


def test_an_unknown_argument_is_refused(retriever: HybridRetriever) -> None:
    with pytest.raises(InputError, match="unknown argument 'top_k'"):
        retriever.invoke("cats", top_k=3)
    with pytest.raises(FilterError):
        retriever.invoke("cats", filter={"legs": {"$near": 2}})


def test_stored_documents_are_never_mutated(retriever: HybridRetriever, metadatas: list[dict[str, Any]]) -> None:
    first = retriever.invoke("cats", k=8)
    before = [document.model_copy(deep=True) for document in first]
    for document in first:
        document.metadata["name"]["en"] = "changed"
        document.metadata.clear()
        document.page_content = "changed"
    assert retriever.invoke("cats", k=8) == before
    assert [document.metadata for document in retriever.get(["cat", "dog"])] == metadatas[:2]


def test_given_documents_are_not_mutated_either(embeddings: Any) -> None:
    given = Document(page_content="cats", metadata={"deep": {"x": 1}})
    retriever = HybridRetriever.from_documents([given], embedding_model=embeddings)
    retriever.invoke("cats")[0].metadata["deep"]["x"] = 2
    retriever.add_documents([given])
    assert given == Document(page_content="cats", metadata={"deep": {"x": 1}})
    given.metadata["deep"]["x"] = 3
    assert retriever.invoke("cats", k=1)[0].metadata["deep"] == {"x": 1}


def test_search_gives_hits_per_query(retriever: HybridRetriever) -> None:
    answers = retriever.search(QUERIES, k=3, filter={"legs": 4}, retrievers=("dense", "bm25"))
    assert len(answers) == len(QUERIES)
    for hits in answers:
        assert len(hits) == 3
        for hit in hits:
            assert isinstance(hit, Hit)
            assert list(hit.details) == ["dense", "bm25"]
    assert len(retriever.search(["cats"])[0]) == 4


def test_search_and_invoke_agree(retriever: HybridRetriever) -> None:
    for query in QUERIES:
        hits = retriever.search([query], k=4)[0]
        found = retriever.invoke(query)
        assert [hit.doc_id for hit in hits] == ids(found)
        assert [hit.score for hit in hits] == scores(found)


def test_an_explanation_sums_to_the_score_and_is_json(retriever: HybridRetriever) -> None:
    for document in retriever.invoke("cats sleep all day"):
        reason = retriever.explain("cats sleep all day", str(document.id))
        json.dumps(reason, allow_nan=False)
        assert reason["score"] == pytest.approx(document.metadata["hybridret"]["score"], abs=1e-9)
        total = sum(part["contribution"] for part in reason["retrievers"].values())
        log_odds = total + reason["agreement"] + reason["offset"]
        assert 1 / (1 + math.exp(-log_odds)) == pytest.approx(reason["score"], abs=1e-9)
        assert reason["retrievers"].keys() == set(RETRIEVERS)


def test_an_explanation_is_of_this_retrievers_weights(retriever: HybridRetriever) -> None:
    weighted = HybridRetriever(index=retriever.index, weights={"bm25": 0.9, "docid": 0.1}, with_scores=True)
    for document in weighted.invoke("cats sleep all day"):
        reason = weighted.explain("cats sleep all day", str(document.id))
        assert reason["score"] == pytest.approx(document.metadata["hybridret"]["score"], abs=1e-9)


def test_explaining_an_unknown_document_or_a_blank_query_is_refused(retriever: HybridRetriever) -> None:
    with pytest.raises(InputError, match="no document 'unicorn' in the index"):
        retriever.explain("cats", "unicorn")
    with pytest.raises(InputError, match="the query is blank"):
        retriever.explain("  ", "cat")


# Many at once, and without blocking


def test_a_batch_equals_one_by_one(retriever: HybridRetriever) -> None:
    for settings in ({}, {"k": 2, "filter": {"legs": 4}}, {"weights": {"docid": 1.0}}):
        answers = retriever.batch(QUERIES, **settings)
        for query, answer in zip(QUERIES, answers, strict=True):
            assert_same(answer, retriever.invoke(query, **settings))
    assert retriever.batch([]) == []


def test_a_batch_is_encoded_in_one_call_and_equals_one_by_one(
    tiny_encoder: Any, animals: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hybridret.hybrid import HybridIndex
    from hybridret.types import Document as Record

    records = [Record(name, text, {}) for name, text in animals.items()]
    retriever = HybridRetriever(index=HybridIndex.build(records, tiny_encoder), with_scores=True)
    calls: list[list[str]] = []
    encode = tiny_encoder.encode_queries
    monkeypatch.setattr(tiny_encoder, "encode_queries", lambda texts: calls.append(list(texts)) or encode(texts))
    answers = retriever.batch(QUERIES, k=8)
    assert calls == [QUERIES]
    for query, answer in zip(QUERIES, answers, strict=True):
        alone = retriever.invoke(query, k=8, weights={"dense": 1.0})
        cosines = {document.id: document.metadata["hybridret"]["dense"]["score"] for document in alone}
        for document in answer:
            assert document.metadata["hybridret"]["dense"]["score"] == pytest.approx(
                cosines[document.id], abs=BF16_TOLERANCE
            )


async def test_asynchronous_answers_are_the_same(retriever: HybridRetriever) -> None:
    for query in QUERIES:
        assert_same(await retriever.ainvoke(query, k=3), retriever.invoke(query, k=3))
    together = await retriever.abatch(QUERIES, k=3)
    for one, other in zip(together, retriever.batch(QUERIES, k=3), strict=True):
        assert_same(one, other)
    at_once = await asyncio.gather(*(retriever.ainvoke(query, k=3) for query in QUERIES))
    assert [ids(answer) for answer in at_once] == [ids(answer) for answer in together]


@pytest.mark.parametrize("call", ["ainvoke", "abatch"])
async def test_the_event_loop_goes_on_while_a_query_is_encoded(
    retriever: HybridRetriever, embeddings: Any, call: str
) -> None:
    encoding, released = threading.Event(), threading.Event()

    def wait() -> None:
        encoding.set()
        assert released.wait(30), "the event loop was blocked"

    embeddings.before = wait
    asked = asyncio.create_task(getattr(retriever, call)("cats" if call == "ainvoke" else ["cats", "dogs"]))
    while not encoding.is_set():
        await asyncio.sleep(0)
    assert not asked.done()
    released.set()
    assert len(await asked) == (4 if call == "ainvoke" else 2)


@pytest.mark.parametrize("how", ["batch", "abatch"])
async def test_a_faulty_query_in_a_batch_is_returned_or_raised(retriever: HybridRetriever, how: str) -> None:
    async def answer(**settings: Any) -> list[Any]:
        queries: list[Any] = ["cats", 5, "dogs"]
        if how == "batch":
            return retriever.batch(queries, **settings)
        return await retriever.abatch(queries, **settings)

    answers = await answer(return_exceptions=True)
    assert_same(answers[0], retriever.invoke("cats"))
    assert isinstance(answers[1], InputError)
    assert_same(answers[2], retriever.invoke("dogs"))
    with pytest.raises(InputError):
        await answer()


@pytest.mark.parametrize("how", ["batch", "abatch"])
async def test_a_failing_model_in_a_batch_leaves_bm25_and_is_said(
    retriever: HybridRetriever, embeddings: Any, how: str
) -> None:
    def fail() -> None:
        raise ConnectionError("the embedding service is down")

    embeddings.before = fail
    noting = Noting()
    settings: dict[str, Any] = {"config": {"callbacks": [noting]}, "return_exceptions": True}
    if how == "batch":
        answers = retriever.batch(["cats", "dogs"], **settings)
    else:
        answers = await retriever.abatch(["cats", "dogs"], **settings)
    assert [ids(answer)[0] for answer in answers] == ["cat", "dog"]
    for answer in answers:
        told = answer[0].metadata["hybridret"]
        assert (
            told["dense"]
            == told["docid"]
            == {
                "rank": None,
                "score": None,
                "failed": "the encoder failed: ConnectionError: the embedding service is down",
            }
        )
        assert set(told["bm25"]) == {"rank", "score"}
    assert not noting.failed


# Tracing and configuration


def test_callbacks_see_each_query_once(retriever: HybridRetriever) -> None:
    noting = Noting()
    retriever.invoke("cats", {"callbacks": [noting]}, k=2)
    assert (noting.started, noting.ended, noting.failed) == (["cats"], [2], [])
    retriever.batch(QUERIES, {"callbacks": [noting]}, k=3)
    assert noting.started[1:] == QUERIES
    assert noting.ended[1:] == [3] * len(QUERIES)
    with pytest.raises(InputError):
        retriever.invoke("cats", {"callbacks": [noting]}, k=0)
    assert len(noting.failed) == 1


async def test_callbacks_see_each_asynchronous_query_once(retriever: HybridRetriever) -> None:
    noting = Noting()
    await retriever.ainvoke("cats", {"callbacks": [noting]})
    await retriever.abatch(["dogs", "fish"], {"callbacks": [noting]})
    assert (noting.started, noting.ended) == (["cats", "dogs", "fish"], [4, 4, 4])


def test_each_query_of_a_batch_may_have_its_own_configuration(retriever: HybridRetriever) -> None:
    one, other = Noting(), Noting()
    retriever.batch(["cats", "dogs"], [{"callbacks": [one]}, {"callbacks": [other]}])
    assert (one.started, other.started) == (["cats"], ["dogs"])


def test_tracing_parameters_are_filled(retriever: HybridRetriever, tiny_model: Path) -> None:
    noting = Noting()
    retriever.invoke("cats", {"callbacks": [noting]})
    (metadata,) = noting.metadata
    assert metadata["ls_retriever_name"] == "hybrid"
    assert metadata["ls_embedding_provider"] == "langchain"
    assert metadata["ls_embedding_model"] == "StubEmbeddings"
    assert metadata["ls_vector_store_provider"]
    made = HybridRetriever.from_texts(["cats"], embedding_model=str(tiny_model))
    params = made._get_ls_params()
    assert (params["ls_embedding_provider"], params["ls_embedding_model"]) == ("sentence-transformers", str(tiny_model))


def test_k_filter_and_weights_are_configurable_at_run_time(retriever: HybridRetriever) -> None:
    configurable = retriever.configurable_fields(
        k=ConfigurableField(id="k"), filter=ConfigurableField(id="filter"), weights=ConfigurableField(id="weights")
    )
    assert_same(configurable.invoke("cats"), retriever.invoke("cats"))
    asked: dict[str, Any] = {"k": 2, "filter": {"legs": 4}, "weights": {"bm25": 1.0}}
    assert_same(configurable.invoke("cats", {"configurable": asked}), retriever.invoke("cats", **asked))
    assert_same(configurable.with_config(configurable=asked).invoke("cats"), retriever.invoke("cats", **asked))
    for answer in configurable.batch(QUERIES, {"configurable": {"k": 1}}):
        assert len(answer) == 1


def test_it_composes_in_a_chain(retriever: HybridRetriever) -> None:
    chain = (lambda question: question["q"]) | retriever.bind(k=1) | (lambda documents: documents[0].id)
    assert chain.invoke({"q": "cats purr"}) == "cat"


def test_its_representation_shows_settings_and_not_the_index(retriever: HybridRetriever) -> None:
    shown = repr(HybridRetriever(index=retriever.index, k=7))
    assert "k=7" in shown
    assert "index=" not in shown


# Changing it


def test_added_documents_are_found_and_ids_returned(retriever: HybridRetriever) -> None:
    added = retriever.add_documents([Document(page_content="Zebras have stripes", metadata={"legs": 4})], ["zebra"])
    assert added == ["zebra"]
    assert retriever.invoke("zebras stripes", k=1)[0].id == "zebra"
    (made,) = retriever.add_documents([Document(page_content="Yaks have wool")])
    assert retriever.invoke("yaks wool", k=1)[0].id == made
    (own,) = retriever.add_documents([Document(id="gnu", page_content="Gnus migrate")])
    assert own == "gnu"
    assert retriever.add_documents([]) == []


def test_upsert_replaces_and_get_returns_in_the_order_asked(retriever: HybridRetriever) -> None:
    response = retriever.upsert(
        [Document(id="cat", page_content="Cats hunt mice"), Document(id="emu", page_content="x")]
    )
    assert response == {"succeeded": ["cat", "emu"], "failed": []}
    assert [(found.id, found.page_content) for found in retriever.get(["emu", "nobody", "cat", "emu"])] == [
        ("emu", "x"),
        ("cat", "Cats hunt mice"),
    ]
    assert len(retriever.index) == 9
    assert retriever.invoke("cats hunt mice", k=1)[0].page_content == "Cats hunt mice"
    assert [document.id for document in retriever.invoke("cats", k=20)].count("cat") == 1


def test_deleted_documents_are_gone(retriever: HybridRetriever) -> None:
    assert retriever.delete(["cat", "nobody", "dog"]) == {
        "num_deleted": 2, "succeeded": ["cat", "dog"], "num_failed": 0, "failed": []
    }  # fmt: skip
    assert retriever.get(["cat", "dog"]) == []
    assert not {"cat", "dog"} & set(ids(retriever.invoke("cats dogs", k=20)))
    with pytest.raises(InputError, match="needs the ids"):
        retriever.delete()


@pytest.mark.parametrize("call", ["get", "delete"])
@pytest.mark.parametrize("doc_id", [7, None, b"7", 7.0, "a\ud800"])
def test_ids_that_cannot_be_in_the_index_touch_nothing(embeddings: Any, call: str, doc_id: Any) -> None:
    retriever = HybridRetriever.from_texts(["seven", "eight"], ids=["7", "8"], embedding_model=embeddings)
    try:
        found = getattr(retriever, call)([doc_id])
    except InputError:
        found = []
    assert found in ([], {"num_deleted": 0, "succeeded": [], "num_failed": 0, "failed": []})
    assert len(retriever.index) == 2


async def test_the_asynchronous_changes_work(retriever: HybridRetriever) -> None:
    await retriever.aupsert([Document(id="emu", page_content="Emus run")])
    assert ids(await retriever.aget(["emu"])) == ["emu"]
    await retriever.adelete(["emu"])
    assert await retriever.aget(["emu"]) == []


FAULTY: list[tuple[str, list[Document]]] = [
    ("an id that is taken", [Document(id="new", page_content="x"), Document(id="cat", page_content="x")]),
    ("an id given twice", [Document(id="new", page_content="x"), Document(id="new", page_content="y")]),
    ("an empty id", [Document(id="new", page_content="x"), Document(id="", page_content="x")]),
    ("metadata that JSON cannot hold", [Document(id="new", page_content="x", metadata={"x": object()})]),
]


def state(retriever: HybridRetriever) -> Any:
    return [
        sorted(retriever.index.ids()),
        retriever.index.info(),
        [[(document.id, document.metadata) for document in retriever.invoke(query, k=20)] for query in QUERIES],
    ]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("what", "documents"), FAULTY, ids=[what for what, _ in FAULTY])
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_failed_add_leaves_everything_as_before(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path, where: str, what: str, documents: list[Document]
) -> None:
    if where == "disk":
        retriever.save(tmp_path / "b")
        retriever = HybridRetriever.load(tmp_path / "b", embedding_model=embeddings)
    before, on_disk = state(retriever), files(tmp_path)
    with pytest.raises(InputError):
        retriever.add_documents(documents)
    assert state(retriever) == before
    assert files(tmp_path) == on_disk
    retriever.add_documents([Document(id="fresh", page_content="fresh start")])
    assert retriever.invoke("fresh start", k=1)[0].id == "fresh"


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_failing_model_leaves_everything_as_before(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path, where: str
) -> None:
    if where == "disk":
        retriever.save(tmp_path / "b")
        retriever = HybridRetriever.load(tmp_path / "b", embedding_model=embeddings)
    before, on_disk = state(retriever), files(tmp_path)

    def fail() -> None:
        raise ConnectionError("the embedding service is down")

    embeddings.before = fail
    for change in (retriever.add_documents, retriever.upsert):
        with pytest.raises(ConnectionError):
            change([Document(id="cat2", page_content="x")])
    embeddings.before = lambda: None
    assert state(retriever) == before
    assert files(tmp_path) == on_disk


def test_searching_goes_on_while_documents_come_and_go(retriever: HybridRetriever) -> None:
    faults: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                found = retriever.invoke("cats sleep", k=5)
                assert 4 <= len(found) <= 5
                assert found[0].id == "cat"
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20):
        retriever.add_documents([Document(id=f"n{number}", page_content="stones lie about")])
        retriever.delete([f"n{number}"])
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []


# Keeping it


def test_a_saved_retriever_loads_with_the_same_answers(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path
) -> None:
    retriever.delete(["ant"])
    retriever.add_documents([Document(id="emu", page_content="Emus run fast", metadata={"legs": 2})])
    retriever.save(tmp_path / "b")
    loaded = HybridRetriever.load(str(tmp_path / "b"), embedding_model=embeddings, k=8, with_scores=True)
    for query in QUERIES:
        assert_same(loaded.invoke(query), retriever.invoke(query, k=8))
        assert_same(loaded.invoke(query, filter={"legs": 2}), retriever.invoke(query, k=8, filter={"legs": 2}))
    assert loaded.index.config == retriever.index.config


LOAD = """
import json, sys
from hybridret import HybridRetriever
retriever = HybridRetriever.load(sys.argv[1], with_scores=True)
answers = [
    [(d.id, d.metadata["hybridret"].pop("score"), d.metadata["hybridret"]) for d in answer]
    for answer in ([retriever.invoke(q, k=8) for q in json.loads(sys.argv[2])])
]
print(json.dumps(answers))
"""


def test_a_fresh_process_gives_the_same_ids_and_scores(
    tiny_model: Path, animals: dict[str, str], tmp_path: Path, run_python: Callable[..., Any]
) -> None:
    made = HybridRetriever.from_texts(
        animals.values(),
        ids=animals.keys(),
        path=tmp_path / "b",
        embedding_model=str(tiny_model),
        query_prompt="find: ",
        document_prompt="text: ",
        weights={"dense": 0.4, "bm25": 0.3, "docid": 0.3},
    )
    made.add_documents([Document(id="emu", page_content="Emus run fast")])
    made.delete(["ant"])
    plain = HybridRetriever(index=made.index, with_scores=True)
    done = run_python(LOAD, tmp_path / "b", json.dumps(QUERIES))
    assert done.returncode == 0, done.stderr
    for query, answer in zip(QUERIES, json.loads(done.stdout), strict=True):
        wanted = plain.invoke(query, k=8)
        assert [doc_id for doc_id, *_ in answer] == ids(wanted)
        np.testing.assert_allclose([score for _, score, _ in answer], scores(wanted), atol=1e-6)
        for (_, _, details), document in zip(answer, wanted, strict=True):
            for name, detail in details.items():
                assert detail["rank"] == document.metadata["hybridret"][name]["rank"]
                assert detail["score"] == pytest.approx(document.metadata["hybridret"][name]["score"], abs=1e-6)


def test_a_bundle_holds_its_model_and_no_pickle(tiny_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    made = HybridRetriever.from_texts(["cats", "dogs"], path=tmp_path / "b", embedding_model=str(tiny_model))
    model = SentenceTransformer(str(tmp_path / "b" / "dense"), local_files_only=True)
    vectors = np.asarray(model.encode(["cats"], show_progress_bar=False))
    np.testing.assert_allclose(vectors, made.index.encoder.encode_queries(["cats"]), atol=BF16_TOLERANCE)
    for name, content in files(tmp_path / "b").items():
        assert Path(name).suffix in {".sqlite", ".seal", ".safetensors", ".json", ".txt", ".md"}, name
        assert not content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")), name


def test_a_path_is_opened_in_place_and_changes_are_durable(embeddings: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "b"
    made = HybridRetriever.from_texts(["cats"], ids=["cat"], path=str(path), embedding_model=embeddings)

    def on_disk() -> list[str]:
        return sorted(HybridRetriever.load(path, embedding_model=embeddings).index.ids())

    assert on_disk() == ["cat"]
    made.add_documents([Document(id="dog", page_content="dogs")])
    assert on_disk() == ["cat", "dog"]
    made.upsert([Document(id="cat", page_content="new cats")])
    assert HybridRetriever.load(path, embedding_model=embeddings).get(["cat"])[0].page_content == "new cats"
    made.delete(["cat"])
    assert on_disk() == ["dog"]
    assert [entry.name for entry in path.parent.iterdir()] == ["b"]


def test_an_empty_retriever_is_saved_loaded_and_filled(embeddings: Any, tmp_path: Path) -> None:
    made = HybridRetriever.from_texts([], path=tmp_path / "b", embedding_model=embeddings)
    assert made.invoke("cats") == []
    loaded = HybridRetriever.load(tmp_path / "b", embedding_model=embeddings)
    assert loaded.invoke("cats") == []
    loaded.add_documents([Document(id="cat", page_content="cats")])
    assert ids(HybridRetriever.load(tmp_path / "b", embedding_model=embeddings).invoke("cats")) == ["cat"]


def test_a_bundle_of_foreign_embeddings_asks_for_them(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path
) -> None:
    retriever.save(tmp_path / "b")
    assert not (tmp_path / "b" / "dense").exists()
    loaded = HybridRetriever.load(tmp_path / "b")
    with pytest.raises(ModelError, match=r"built with langchain:StubEmbeddings.*give it as embedding_model"):
        loaded.invoke("cats")
    with_model = HybridRetriever.load(tmp_path / "b", embedding_model=embeddings, with_scores=True)
    assert_same(with_model.invoke("cats"), retriever.invoke("cats"))


def test_a_model_of_another_dimension_is_refused(
    retriever: HybridRetriever, make_embeddings: Callable[..., Any], tmp_path: Path
) -> None:
    retriever.save(tmp_path / "b")
    with pytest.raises(InputError, match="7 dimensions and the index has 32"):
        HybridRetriever.load(tmp_path / "b", embedding_model=make_embeddings(7))


def test_a_bundle_is_replaced_as_a_whole(retriever: HybridRetriever, embeddings: Any, tmp_path: Path) -> None:
    retriever.save(tmp_path / "b")
    HybridRetriever.from_texts(["one"], ids=["one"], path=tmp_path / "b", embedding_model=embeddings)
    assert HybridRetriever.load(tmp_path / "b", embedding_model=embeddings).index.ids() == {"one"}


def test_a_failed_build_leaves_the_bundle_that_was_there(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path
) -> None:
    retriever.save(tmp_path / "b")
    before = files(tmp_path)
    for faulty in (["x", 5], ["x", "y", "z"]):
        with pytest.raises(HybridretError):
            HybridRetriever.from_texts(
                faulty, ids=["a", "a", "b"][: len(faulty)], path=tmp_path / "b", embedding_model=embeddings
            )
    assert files(tmp_path) == before


def test_what_is_not_a_bundle_is_left_alone(retriever: HybridRetriever, embeddings: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(BundleError, match="is not a bundle; it is left as it is"):
        retriever.save(tmp_path / "thesis")
    with pytest.raises(BundleError, match="is not a bundle; it is left as it is"):
        HybridRetriever.from_texts(["x"], path=tmp_path / "thesis", embedding_model=embeddings)
    assert files(tmp_path) == {"chapter.txt": b"years of work"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis"]


def test_a_bundle_may_be_moved_and_opened_by_a_relative_path(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever.save(tmp_path / "b")
    (tmp_path / "b").rename(tmp_path / "moved %20 ?x=1 #y")
    monkeypatch.chdir(tmp_path)
    loaded = HybridRetriever.load("moved %20 ?x=1 #y", embedding_model=embeddings)
    loaded.delete(["cat"])
    assert "cat" not in HybridRetriever.load("moved %20 ?x=1 #y", embedding_model=embeddings).index.ids()


@pytest.fixture(scope="module")
def minilm(packaged_model: str) -> HybridRetriever:
    texts = {"cat": "Cats purr when content.", "dog": "Dogs bark at strangers.", "rain": "It rains in autumn."}
    return HybridRetriever.from_texts(texts.values(), ids=texts.keys(), embedding_model=packaged_model, k=1)


@pytest.mark.model
@pytest.mark.parametrize(
    ("query", "wanted"), [("a feline makes a happy sound", "cat"), ("wet weather", "rain"), ("hound noise", "dog")]
)
def test_with_a_real_model_meaning_is_found(minilm: HybridRetriever, query: str, wanted: str) -> None:
    assert ids(minilm.invoke(query)) == [wanted]


def test_weights_are_saved_with_the_bundle(embeddings: Any, tmp_path: Path) -> None:
    texts = [f"word{number} honey{number % 3}" for number in range(20)]
    made = HybridRetriever.from_texts(
        texts, ids=texts, path=tmp_path / "b", embedding_model=embeddings, weights={"bm25": 1.0}
    )
    loaded = HybridRetriever.load(tmp_path / "b", embedding_model=embeddings)
    assert loaded.search(["honey1 word7"], 10) == made.search(["honey1 word7"], 10)


def test_an_unknown_setting_of_load_is_refused(embeddings: Any, tmp_path: Path) -> None:
    HybridRetriever.from_texts(["a"], path=tmp_path / "b", embedding_model=embeddings)
    with pytest.raises(InputError, match="wieghts"):
        HybridRetriever.load(tmp_path / "b", embedding_model=embeddings, wieghts={})
