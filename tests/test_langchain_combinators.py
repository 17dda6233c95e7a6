"""What LangChain builds upon retrievers and vector stores takes ours, and sees when two answers are one document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.structured_query import Comparator, Comparison, Operation, Operator, StructuredQuery
from langchain_core.tools import create_retriever_tool

from hybridret import HybridRetriever, HybridVectorStore
from hybridret.errors import InputError
from hybridret.langchain import HybridTranslator
from tests.conftest import TEXTS, animal_metadata

QUERIES = ["cats sleep all day", "who makes honey and flies", "fish in the sea"]


@pytest.fixture
def store(embeddings: Any) -> HybridVectorStore:
    return HybridVectorStore.from_texts(TEXTS.values(), embeddings, animal_metadata(), ids=TEXTS.keys())


@pytest.fixture
def stored(store: HybridVectorStore) -> dict[str, Document]:
    return {str(document.id): document for document in store.get_by_ids(list(TEXTS))}


def distinct(documents: list[Document]) -> list[Document]:
    """LangChain's own way of telling documents apart (``MultiQueryRetriever.unique_union``)."""
    return [document for at, document in enumerate(documents) if document not in documents[:at]]


def union(retriever: Any, *queries: str) -> set[str]:
    return {document.id for query in queries for document in retriever.invoke(query)}


@pytest.mark.parametrize("face", ["retriever", "store"])
def test_several_queries_have_each_document_once(store: HybridVectorStore, face: str) -> None:
    classic = pytest.importorskip("langchain_classic.retrievers")
    base = store.retriever if face == "retriever" else store.as_retriever()
    chain = RunnableLambda(lambda _: QUERIES)
    found = classic.MultiQueryRetriever(retriever=base, llm_chain=chain, verbose=False).invoke("anything")
    wanted = union(base, *QUERIES)
    assert 4 < len(wanted) < 4 * len(QUERIES)
    assert sorted(document.id for document in found) == sorted(wanted)


async def test_several_queries_off_the_event_loop_have_each_document_once(store: HybridVectorStore) -> None:
    classic = pytest.importorskip("langchain_classic.retrievers")
    chain = RunnableLambda(lambda _: QUERIES)
    many = classic.MultiQueryRetriever(retriever=store.retriever, llm_chain=chain, verbose=False)
    assert sorted(document.id for document in await many.ainvoke("x")) == sorted(union(store.retriever, *QUERIES))


def test_an_ensemble_joins_what_two_retrievers_found(store: HybridVectorStore) -> None:
    classic = pytest.importorskip("langchain_classic.retrievers")
    others = [
        HybridRetriever(index=store.retriever.index, weights={name: 1.0}, diversity=0.3) for name in ("dense", "bm25")
    ]
    found = classic.EnsembleRetriever(retrievers=[store.retriever, *others]).invoke("cats sleep")
    wanted = set().union(*(union(each, "cats sleep") for each in [store.retriever, *others]))
    assert sorted(document.id for document in found) == sorted(wanted)
    found = classic.EnsembleRetriever(retrievers=[store.retriever, store.as_retriever()]).invoke("cats sleep")
    assert found == store.retriever.invoke("cats sleep")


def test_merged_answers_hold_equal_documents(store: HybridVectorStore, stored: dict[str, Document]) -> None:
    classic = pytest.importorskip("langchain_classic.retrievers")
    bm25 = HybridRetriever(index=store.retriever.index, weights={"bm25": 1.0})
    merged = classic.MergerRetriever(retrievers=[store.retriever, bm25]).invoke("cats sleep")
    assert len(merged) == 8
    assert {document.id: document for document in distinct(merged)} == {
        name: stored[name] for name in union(store.retriever, "cats sleep") | union(bm25, "cats sleep")
    }
    assert len(distinct(merged)) < len(merged)


def test_a_compressor_filters_what_was_found(store: HybridVectorStore, stored: dict[str, Document]) -> None:
    classic = pytest.importorskip("langchain_classic.retrievers")
    compressors = pytest.importorskip("langchain_classic.retrievers.document_compressors")
    pytest.importorskip("langchain_community")
    nearest = compressors.EmbeddingsFilter(embeddings=store.embeddings, k=2, similarity_threshold=None)
    compressing = classic.ContextualCompressionRetriever(base_compressor=nearest, base_retriever=store.retriever)
    found = {document.page_content for document in compressing.invoke("cats sleep all day")}
    assert len(found) == 2
    assert found < {document.page_content for document in store.retriever.invoke("cats sleep all day")}
    second = HybridRetriever(index=store.retriever.index, reranker=nearest, rerank_top=4).invoke("cats sleep all day")
    assert {document.page_content for document in second} == found
    assert second == [stored[str(document.id)] for document in second]


@pytest.mark.parametrize("face", ["retriever", "store"])
def test_an_agent_has_it_as_a_tool(store: HybridVectorStore, stored: dict[str, Document], face: str) -> None:
    base = store.retriever if face == "retriever" else store.as_retriever()
    tool = create_retriever_tool(base, "animals", "Looks animals up.", response_format="content_and_artifact")
    message = tool.invoke({"name": "animals", "args": {"query": "who makes honey"}, "id": "1", "type": "tool_call"})
    assert message.artifact == [stored[str(document.id)] for document in base.invoke("who makes honey")]
    assert message.content == "\n\n".join(document.page_content for document in message.artifact)


def test_parents_are_found_by_their_parts(store: HybridVectorStore) -> None:
    classic = pytest.importorskip("langchain_classic.retrievers")
    from langchain_core.stores import InMemoryStore
    from langchain_text_splitters import CharacterTextSplitter

    splitter = CharacterTextSplitter(separator=". ", chunk_size=30, chunk_overlap=0)
    parents: InMemoryStore = InMemoryStore()
    retriever = classic.ParentDocumentRetriever(vectorstore=store, docstore=parents, child_splitter=splitter)
    long = Document(page_content="Yaks have long wool. Herders ride on them. Monks burn their butter")
    retriever.add_documents([long])
    assert len(store) == len(TEXTS) + 3
    assert retriever.invoke("butter of monks") == [long]
    mmr = classic.ParentDocumentRetriever(
        vectorstore=store, docstore=parents, child_splitter=splitter, search_type="mmr", search_kwargs={"fetch_k": 8}
    )
    assert mmr.invoke("butter of monks") == [long]


FOUR_LEGS = Comparison(Comparator.EQ, "legs", 4)
STRUCTURED: list[tuple[Any, Callable[[dict[str, Any]], bool]]] = [
    (None, lambda animal: True),
    (FOUR_LEGS, lambda animal: animal["legs"] == 4),
    (Comparison(Comparator.NE, "legs", 4), lambda animal: animal["legs"] != 4),
    (Comparison(Comparator.GTE, "legs", 4), lambda animal: animal["legs"] >= 4),
    (Comparison(Comparator.LT, "legs", 4), lambda animal: animal["legs"] < 4),
    (Comparison(Comparator.IN, "legs", [2, 6]), lambda animal: animal["legs"] in (2, 6)),
    (Comparison(Comparator.NIN, "legs", [2, 6]), lambda animal: animal["legs"] not in (2, 6)),
    (Comparison(Comparator.IN, "legs", 6), lambda animal: animal["legs"] == 6),
    (Comparison(Comparator.CONTAIN, "name.en", "cat"), lambda animal: animal["name"]["en"] == "cat"),
    (
        Operation(Operator.OR, [FOUR_LEGS, Comparison(Comparator.EQ, "flies", True)]),
        lambda animal: animal["legs"] == 4 or animal["flies"],
    ),
    (
        Operation(Operator.AND, [Comparison(Comparator.GT, "legs", 1), Operation(Operator.NOT, [FOUR_LEGS])]),
        lambda animal: animal["legs"] > 1 and animal["legs"] != 4,
    ),
    (
        Operation(Operator.NOT, [FOUR_LEGS, Comparison(Comparator.EQ, "flies", True)]),
        lambda animal: animal["legs"] != 4 and not animal["flies"],
    ),
]


@pytest.mark.parametrize(("directive", "meets"), STRUCTURED)
def test_a_structured_query_is_a_filter(
    store: HybridVectorStore, directive: Any, meets: Callable[[dict[str, Any]], bool]
) -> None:
    query, arguments = HybridTranslator().visit_structured_query(StructuredQuery("cats", directive))
    found = store.similarity_search(query, k=100, **arguments)
    assert query == "cats"
    assert {document.id for document in found} == {name["name"]["en"] for name in animal_metadata() if meets(name)}


def test_dates_of_a_structured_query_compare_as_stored_ones(embeddings: Any) -> None:
    import datetime

    days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
    store = HybridVectorStore.from_texts(
        ["a", "b", "c"], embeddings, [{"day": day} for day in days], ids=["1", "2", "3"]
    )
    later = Comparison(Comparator.GTE, "day", {"date": "2024-01-02", "type": "date"})
    _, arguments = HybridTranslator().visit_structured_query(StructuredQuery("a", later))
    assert {document.id for document in store.similarity_search("a", **arguments)} == {"2", "3"}


def test_what_the_filters_do_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="disallowed comparator"):
        HybridTranslator().visit_comparison(Comparison(Comparator.LIKE, "name", "c%"))


def test_a_self_querying_retriever_filters(store: HybridVectorStore) -> None:
    classic = pytest.importorskip("langchain_classic.retrievers")
    constructor = RunnableLambda(lambda _: StructuredQuery("animals that sleep", FOUR_LEGS, 3))
    retriever = classic.SelfQueryRetriever(
        query_constructor=constructor, vectorstore=store, structured_query_translator=HybridTranslator()
    )
    found = retriever.invoke("what sleeps on four legs?")
    assert found == store.similarity_search("animals that sleep", k=3, filter={"legs": 4})
    assert len(found) == 3
    llm = FakeListChatModel(responses=['```json\n{"query": "sleep", "filter": "eq(\\"legs\\", 4)"}\n```'])
    pytest.importorskip("lark")
    fields = [{"name": "legs", "description": "how many legs it has", "type": "integer"}]
    built = classic.SelfQueryRetriever.from_llm(llm, store, "animals", fields, HybridTranslator())
    assert built.invoke("what sleeps on four legs?") == store.similarity_search("sleep", filter={"legs": 4})


def test_the_tools_of_vector_stores_take_it(store: HybridVectorStore) -> None:
    pytest.importorskip("langchain_community.tools.vectorstore.tool")
    toolkits = pytest.importorskip("langchain_classic.agents.agent_toolkits.vectorstore.toolkit")
    info = toolkits.VectorStoreInfo(vectorstore=store, name="animals", description="animals")
    llm = FakeListChatModel(responses=["bees"])
    first, *_ = toolkits.VectorStoreToolkit(vectorstore_info=info, llm=llm).get_tools()
    assert first.invoke("who makes honey?") == "bees"


class Scoring(BaseDocumentCompressor):
    """Makes new documents without ids and puts scores into their metadata, as LangChain's rerankers do."""

    def compress_documents(self, documents: Any, query: str, callbacks: Any = None) -> list[Document]:
        scored = [
            Document(page_content=each.page_content, metadata={**each.metadata, "relevance_score": 1 / (3 + at)})
            for at, each in enumerate(reversed(documents))
        ]
        return scored[:3]


def test_a_compressor_that_drops_ids_and_adds_scores_gives_the_stored_documents(
    store: HybridVectorStore, stored: dict[str, Document]
) -> None:
    first = store.retriever.invoke("fish", k=8)
    second = HybridRetriever(index=store.retriever.index, reranker=Scoring(), rerank_top=8)
    assert second.invoke("fish", k=3) == [stored[str(document.id)] for document in reversed(first[-3:])]
    scored = HybridVectorStore(second).similarity_search_with_score("fish", k=3)
    assert [score for _, score in scored] == [1 / 3, 1 / 4, 1 / 5]
    two = second.model_copy(update={"split_queries": True})
    found = two.invoke("How do bees make honey? Where do owls hunt mice at night?", k=6)
    assert len(found) > 3
    assert found == [stored[str(document.id)] for document in found]


def test_a_compressor_without_scores_has_none_to_give(store: HybridVectorStore) -> None:
    class Last(BaseDocumentCompressor):
        def compress_documents(self, documents: Any, query: str, callbacks: Any = None) -> list[Document]:
            return list(documents)[-2:]

    second = HybridVectorStore(HybridRetriever(index=store.retriever.index, reranker=Last()))
    assert len(second.similarity_search("fish")) == 2
    with pytest.raises(InputError, match="without scores"):
        second.similarity_search_with_score("fish")
