"""HybridVectorStore: what every tutorial writes, and by what each method finds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import VectorStoreRetriever

from hybridret import HybridRetriever, HybridVectorStore
from hybridret.errors import InputError
from tests.conftest import TEXTS, animal_metadata

QUERIES = ["cats sleep all day", "who makes honey", "fish in the sea", "birds in winter"]


@pytest.fixture
def store(embeddings: Any) -> HybridVectorStore:
    return HybridVectorStore.from_texts(TEXTS.values(), embeddings, animal_metadata(), ids=TEXTS.keys())


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def unit(vector: Any) -> np.ndarray[Any, Any]:
    return np.asarray(vector) / np.linalg.norm(vector)


def test_a_search_is_hybrid_and_the_retrievers(store: HybridVectorStore) -> None:
    for query in QUERIES:
        assert store.similarity_search(query) == store.retriever.invoke(query, k=4)
        found = store.similarity_search(query, 2, {"legs": 4})
        assert found == store.retriever.invoke(query, k=2, filter={"legs": 4})
        scored = store.similarity_search_with_score(query, k=8)
        assert [document for document, _ in scored] == store.similarity_search(query, k=8)
        assert [score for _, score in scored] == [hit.score for hit in store.retriever.search([query], 8)[0]]


def test_the_retrievers_settings_are_the_stores_but_for_k(store: HybridVectorStore) -> None:
    other = HybridVectorStore(HybridRetriever(index=store.retriever.index, k=2, filter={"legs": 4}))
    assert len(other.similarity_search("cats")) == 3  # cat, dog and cow
    assert len(other.similarity_search("cats", k=8, filter=None)) == 8
    assert other.similarity_search_by_vector(store.embeddings.embed_query("owls"))[0].metadata["legs"] == 4


async def test_relevance_scores_are_scores_and_have_a_threshold(store: HybridVectorStore) -> None:
    scored = store.similarity_search_with_relevance_scores("cats sleep all day", k=8)
    assert scored == store.similarity_search_with_score("cats sleep all day", k=8)
    bound = scored[2][1]
    above = store.similarity_search_with_relevance_scores("cats sleep all day", k=8, score_threshold=bound)
    assert above == scored[:3]
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"k": 8, "score_threshold": bound}
    )
    assert isinstance(retriever, VectorStoreRetriever)
    assert retriever.invoke("cats sleep all day") == [document for document, _ in scored[:3]]
    assert await retriever.ainvoke("cats sleep all day") == retriever.invoke("cats sleep all day")


def test_by_vector_it_is_dense(store: HybridVectorStore, embeddings: Any) -> None:
    vectors = {name: unit(embeddings.embed_query(text)) for name, text in TEXTS.items()}
    for query in QUERIES:
        vector = embeddings.embed_query(query)
        cosines = {name: float(unit(vector) @ other) for name, other in vectors.items()}
        wanted = sorted(cosines, key=lambda name: -cosines[name])
        assert ids(store.similarity_search_by_vector(vector, k=8)) == wanted
        assert ids(store.similarity_search_by_vector([7 * number for number in vector], k=3)) == wanted[:3]
        found = store.similarity_search_by_vector(vector, 8, {"legs": 2})
        assert ids(found) == [name for name in wanted if name in ("bird", "owl")]
        assert store.similarity_search_by_vector(store.embeddings.embed_query(query), k=8) == store.get_by_ids(wanted)
        (answers,) = [store.retriever.answers_by_vector(vector, k=8)]
        assert [answer.score for answer in answers] == pytest.approx([cosines[name] for name in wanted], abs=1e-6)


@pytest.mark.parametrize(
    ("vector", "why"),
    [
        ([1.0] * 7, "7 dimensions, the index has 32"),
        ([float("nan")] * 32, "finite numbers"),
        (["x"] * 32, "list of numbers"),
        (1.0, "finite numbers"),
        ([[1.0] * 32], "finite numbers"),
    ],
)
def test_what_is_no_vector_of_the_index_is_refused(store: HybridVectorStore, vector: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        store.similarity_search_by_vector(vector)


def greedy(scores: list[float], vectors: list[Any], k: int, lambda_mult: float) -> list[int]:
    """Carbonell and Goldstein's maximal marginal relevance, word for word, over scores brought to [0, 1]."""
    low, high = min(scores), max(scores)
    relevance = [(score - low) / ((high - low) or 1.0) for score in scores]
    picked: list[int] = []
    while len(picked) < min(k, len(scores)):
        best, value = -1, -math.inf
        for at in range(len(scores)):
            if at in picked:
                continue
            likeness = max((float(vectors[at] @ vectors[other]) for other in picked), default=0.0)
            worth = lambda_mult * relevance[at] - (1 - lambda_mult) * likeness
            if worth > value:
                best, value = at, worth
        picked.append(best)
    return picked


@pytest.mark.parametrize("lambda_mult", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("fetch_k", [2, 4, 8, 20])
def test_maximal_marginal_relevance_chooses_among_as_many_as_are_fetched(
    store: HybridVectorStore, embeddings: Any, lambda_mult: float, fetch_k: int
) -> None:
    vectors = {name: unit(embeddings.embed_query(text)) for name, text in TEXTS.items()}
    for query in QUERIES:
        vector = embeddings.embed_query(query)
        by_text = [(str(each.id), score) for each, score in store.similarity_search_with_score(query, k=8)]
        by_vector = sorted(
            ((name, float(unit(vector) @ other)) for name, other in vectors.items()), key=lambda x: -x[1]
        )
        options: dict[str, Any] = {"k": 3, "fetch_k": fetch_k, "lambda_mult": lambda_mult}
        for fetched, found in (
            (by_text, store.max_marginal_relevance_search(query, **options)),
            (by_vector, store.max_marginal_relevance_search_by_vector(vector, **options)),
        ):
            pool = fetched[: max(3, fetch_k)]
            order = greedy([score for _, score in pool], [vectors[name] for name, _ in pool], 3, lambda_mult)
            assert ids(found) == [pool[at][0] for at in order]


@pytest.mark.parametrize("option", [{"lambda_mult": -0.1}, {"lambda_mult": 1.1}, {"fetch_k": 0}, {"fetch_k": "all"}])
def test_maximal_marginal_relevance_out_of_its_range_is_refused(
    store: HybridVectorStore, option: dict[str, Any]
) -> None:
    (name,) = option
    with pytest.raises(InputError, match=f"{name} must be"):
        store.max_marginal_relevance_search("cats", **option)
    with pytest.raises(InputError, match=f"{name} must be"):
        store.max_marginal_relevance_search_by_vector([1.0] * 32, **option)


def test_a_retriever_of_the_store_finds_unlike_documents(store: HybridVectorStore) -> None:
    options = {"k": 3, "fetch_k": 8, "lambda_mult": 0.2, "filter": {"legs": {"$lt": 6}}}
    found = store.as_retriever(search_type="mmr", search_kwargs=options).invoke("sleep all day")
    assert found == store.max_marginal_relevance_search("sleep all day", **options)  # type: ignore[arg-type]
    assert all(document.metadata["legs"] < 6 for document in found)


async def test_asynchronous_calls_give_the_same(store: HybridVectorStore) -> None:
    query, vector = "who makes honey", store.embeddings.embed_query("who makes honey")
    assert await store.asimilarity_search(query) == store.similarity_search(query)
    assert await store.asimilarity_search_with_score(query) == store.similarity_search_with_score(query)
    assert await store.asimilarity_search_by_vector(vector) == store.similarity_search_by_vector(vector)
    assert await store.amax_marginal_relevance_search(query) == store.max_marginal_relevance_search(query)
    assert await store.as_retriever(search_kwargs={"k": 1}).ainvoke(query) == store.similarity_search(query, k=1)
    assert await store.aadd_texts(["Emus run"], [{"legs": 2}], ids=["emu"]) == ["emu"]
    assert await store.aadd_documents([Document(id="yak", page_content="Yaks")]) == ["yak"]
    assert ids(await store.aget_by_ids(["yak", "emu"])) == ["yak", "emu"]
    assert await store.adelete(["yak", "emu"])
    assert len(store) == len(TEXTS)


@pytest.mark.parametrize("how", ["from_texts", "from_documents", "afrom_texts", "afrom_documents"])
async def test_it_is_made_as_tutorials_make_it(embeddings: Any, how: str) -> None:
    if "texts" in how:
        made = getattr(HybridVectorStore, how)(["cats", "dogs"], embeddings, [{"n": 1}, {"n": 2}], ids=["c", "d"])
    else:
        documents = [
            Document(id=name[0], page_content=name, metadata={"n": at}) for at, name in enumerate(["cats", "dogs"], 1)
        ]
        made = getattr(HybridVectorStore, how)(documents, embedding=embeddings)
    store = await made if how.startswith("a") else made
    assert store.get_by_ids(["c", "d"]) == [
        Document(id="c", page_content="cats", metadata={"n": 1}),
        Document(id="d", page_content="dogs", metadata={"n": 2}),
    ]
    assert [document.id for document in store.as_retriever(search_kwargs={"k": 1}).invoke("dogs")] == ["d"]


def test_documents_of_present_ids_are_replaced(store: HybridVectorStore) -> None:
    assert store.add_texts(["Cats hunt"], ids=["cat"]) == ["cat"]
    assert store.add_documents([Document(id="dog", page_content="Dogs run")], batch_size=100) == ["dog"]
    assert store.add_documents([Document(id="dog", page_content="Cows run")], ids=["cow"]) == ["cow"]
    assert [document.page_content for document in store.get_by_ids(["cat", "dog", "cow"])] == [
        "Cats hunt",
        "Dogs run",
        "Cows run",
    ]
    assert len(store) == len(TEXTS)


def test_long_texts_are_split_when_asked(store: HybridVectorStore) -> None:
    text = "\n\n".join("Yaks have wool. " + "word " * 150 for _ in range(4))
    store.add_texts([text], ids=["yak"], chunk=True)
    assert len(store.similarity_search("yaks", k=20, filter={"parent": "yak"})) == len(store) - len(TEXTS) > 2


def test_nothing_is_deleted_by_chance(store: HybridVectorStore) -> None:
    with pytest.raises(InputError, match="needs the ids"):
        store.delete()
    assert store.delete(["cat", "nobody"])
    assert len(store) == len(TEXTS) - 1


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.similarity_search("a", fetchk=3),
        lambda store: store.add_texts(["a"], chnk=True),
        lambda store: store.add_documents([], chnk=True),
        lambda store: store.delete(["a"], everything=True),
    ],
)
def test_unknown_arguments_are_refused(store: HybridVectorStore, call: Any) -> None:
    with pytest.raises(InputError, match="unknown argument"):
        call(store)


def test_scores_and_facts_may_be_in_the_metadata(store: HybridVectorStore) -> None:
    (found,) = store.similarity_search("cats", k=1, with_scores=True)
    ((_, score),) = store.similarity_search_with_score("cats", k=1)
    assert found.metadata["hybridret"]["score"] == score


def test_it_is_saved_loaded_and_closed(store: HybridVectorStore, embeddings: Any, tmp_path: Path) -> None:
    store.save(tmp_path / "b")
    with HybridVectorStore.load(tmp_path / "b", embeddings, weights={"bm25": 1.0}) as loaded:
        assert loaded.similarity_search("cats") == store.similarity_search("cats", weights={"bm25": 1.0})
    with HybridVectorStore.from_texts([], embeddings) as empty:
        assert empty
        assert len(empty) == 0
        assert empty.similarity_search_by_vector([1.0, 2.0]) == []


def test_it_is_made_of_a_retriever() -> None:
    with pytest.raises(InputError, match="takes a HybridRetriever, not a str"):
        HybridVectorStore("b")  # type: ignore[arg-type]


@pytest.mark.parametrize("cleanup", ["incremental", "full"])
def test_langchains_indexing_keeps_it_in_step(store: HybridVectorStore, cleanup: Any) -> None:
    records = InMemoryRecordManager("animals")
    records.create_schema()
    documents = [Document(page_content=text, metadata={"source": "x"}) for text in ("Emus run", "Yaks have wool")]
    options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "source", "key_encoder": "sha256"}
    assert index(documents, records, store, **options)["num_added"] == 2
    assert index(documents, records, store, **options)["num_skipped"] == 2
    changed = index(documents[:1], records, store, **options)
    assert (changed["num_skipped"], changed["num_deleted"]) == (1, 1)
    assert len(store) == len(TEXTS) + 1


@pytest.mark.model
def test_a_default_store_needs_no_embeddings(packaged_model: str) -> None:
    store = HybridVectorStore.from_texts(["Cats purr when content.", "It rains in autumn."], ids=["cat", "rain"])
    assert ids(store.similarity_search("wet weather", k=1)) == ["rain"]
    assert ids(store.similarity_search_by_vector(store.embeddings.embed_query("wet weather"), k=1)) == ["rain"]
