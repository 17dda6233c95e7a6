"""What calls may say: own settings, None, other names, numpy's numbers, dates, home folders, conversations."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from hybridret import HybridRetriever
from hybridret.errors import BundleError, InputError
from tests.conftest import TEXTS, StubEmbeddings

OWN: dict[str, Any] = {"k": 2, "filter": {"legs": 4}, "weights": {"bm25": 1.0}, "min_score": 0.01, "diversity": 0.5}


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


# Own settings, and None


@pytest.mark.parametrize("where", ["fields", "search_kwargs"])
def test_a_search_for_hits_uses_the_retrievers_own_settings(retriever: HybridRetriever, where: str) -> None:
    own = OWN if where == "fields" else {"search_kwargs": OWN}
    made = HybridRetriever(index=retriever.index, **own)
    for query in TEXTS.values():
        assert [hit.doc_id for hit in made.search([query])[0]] == ids(made.invoke(query))
        assert made.search([query]) == retriever.search([query], **OWN)
        assert ids(made.invoke(query)) == ids(retriever.invoke(query, **OWN))
        hits = made.search([query], 8, None, weights=None, min_score=None, diversity=None)
        assert hits == retriever.index.search([query], 8)
    assert len(made.search(["cats"], retrievers=["dense"])[0]) == 2


def test_scores_of_a_single_retriever_are_not_held_against_the_least_score(retriever: HybridRetriever) -> None:
    made = HybridRetriever(index=retriever.index, min_score=2.0)
    assert made.search(["cats"]) == [[]]
    assert made.search(["cats"], retrievers=["docid"]) == retriever.search(["cats"], retrievers=["docid"])


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("where", ["fields", "search_kwargs"])
def test_none_in_a_call_undoes_a_setting(retriever: HybridRetriever, name: str, where: str) -> None:
    value = {**OWN, "k": 1, "min_score": 1.0, "diversity": 1.0}[name]
    own = {name: value} if where == "fields" else {"search_kwargs": {name: value}}
    made = HybridRetriever(index=retriever.index, **own)
    query = "cats sleep all day in the house"
    assert ids(made.invoke(query)) != ids(retriever.invoke(query))
    assert made.invoke(query, **{name: None}) == retriever.invoke(query)
    assert made.batch([query], **{name: None}) == [retriever.invoke(query)]
    if name in ("filter", "weights"):
        cat = retriever.explain("cats", "cat")
        assert made.explain("cats", "cat", **{name: None}) == cat != made.explain("cats", "cat")


def test_settings_of_a_call_go_before_search_kwargs_and_these_before_fields(retriever: HybridRetriever) -> None:
    made = HybridRetriever(index=retriever.index, k=1, filter={"legs": 4}, search_kwargs={"k": 2})
    assert len(made.invoke("cats")) == 2
    assert len(made.invoke("cats", k=3)) == 3
    assert all(document.metadata["legs"] == 4 for document in made.invoke("cats"))
    configurable = retriever.configurable_fields(search_kwargs=ConfigurableField(id="search_kwargs"))
    asked = {"configurable": {"search_kwargs": {"k": 3, "filter": {"legs": 2}}}}
    assert ids(configurable.invoke("cats", asked)) == ids(retriever.invoke("cats", k=3, filter={"legs": 2}))


# Names


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fliter", "did you mean 'filter'"),
        ("Weights", "did you mean 'weights'"),
        ("min_scor", "did you mean 'min_score'"),
        ("top_k", "here it is 'k'"),
        ("score_threshold", "here it is 'min_score'"),
        ("zzz", "there are allow_partial_results, diversity, filter"),
    ],
)
def test_an_unknown_argument_names_the_one_that_was_meant(retriever: HybridRetriever, name: str, hint: str) -> None:
    for call in (retriever.invoke, lambda query, **rest: retriever.batch([query], **rest)):
        with pytest.raises(InputError, match=f"unknown argument '{name}'; {hint}"):
            call("cats", **{name: 1})
    with pytest.raises(InputError, match=f"unknown argument '{name}'; {hint}"):
        retriever.search(["cats"], **{name: 1})
    with pytest.raises(ValidationError, match=f"unknown entry of search_kwargs '{name}'; {hint}"):
        HybridRetriever(index=retriever.index, search_kwargs={name: 1})


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fusoin", "fusion"), ("docid_level", "docid_levels"), ("chunks", "chunk"), ("rerankr", "reranker")],
)
def test_an_unknown_setting_names_the_one_that_was_meant(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path, name: str, hint: str
) -> None:
    retriever.save(tmp_path / "b")
    with pytest.raises(InputError, match=f"unknown setting '{name}'; did you mean '{hint}'"):
        HybridRetriever.from_texts(["a"], embedding=embeddings, **{name: 1})
    assert embeddings.batches[-1] != ["a"]
    with pytest.raises(InputError, match=f"unknown setting '{name}'"):
        HybridRetriever.load(tmp_path / "b", **{name: 1})
    with pytest.raises(ValidationError, match=f"unknown setting '{name}'"):
        HybridRetriever(index=retriever.index, **{name: 1})
    with pytest.raises(InputError, match="unknown argument 'chnk'; did you mean 'chunk'"):
        retriever.upsert([Document(page_content="a")], chnk=True)


@pytest.mark.parametrize("call", ["from_texts", "from_documents", "afrom_texts", "afrom_documents"])
@pytest.mark.parametrize("how", ["embedding", "embedding_model", "second"])
async def test_the_model_is_given_as_tutorials_give_it(embeddings: Any, call: str, how: str) -> None:
    given: Any = ["cats purr"] if "texts" in call else [Document(page_content="cats purr")]
    if how == "second":
        if "texts" in call:
            with pytest.raises(
                InputError, match=r"metadatas must be a list .*; an embedding model is given as embedding="
            ):
                HybridRetriever.from_texts(given, embeddings)
            return
        made = getattr(HybridRetriever, call)(given, embeddings)
    else:
        made = getattr(HybridRetriever, call)(given, **{how: embeddings})
    retriever = await made if asyncio.iscoroutine(made) else made
    assert embeddings.batches[-1] == ["cats purr"]
    assert len(retriever) == 1


def test_the_model_is_given_once(embeddings: Any) -> None:
    with pytest.raises(InputError, match="two names of one argument"):
        HybridRetriever.from_texts(["a"], embedding=embeddings, embedding_model=embeddings)


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("from_texts", ("ab",)),
        ("from_texts", (["ab"], {"a": 1})),
        ("from_texts", (["ab"], None, "x")),
        ("from_documents", (Document(page_content="ab"),)),
        ("from_documents", (["ab"],)),
    ],
)
def test_one_thing_in_place_of_a_list_is_refused(embeddings: Any, call: str, given: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match="must be"):
        getattr(HybridRetriever, call)(*given, embedding=embeddings)


# Values


@pytest.mark.parametrize("number", [np.int64(3), np.int8(3), np.uint32(3)])
def test_numbers_of_numpy_are_numbers(retriever: HybridRetriever, number: Any) -> None:
    found = retriever.invoke("cats", k=3, filter={"legs": 4}, diversity=0.25)
    settings: dict[str, Any] = {"k": number, "filter": {"legs": np.int64(4)}, "diversity": np.float32(0.25)}
    assert retriever.invoke("cats", **settings) == found
    assert HybridRetriever(index=retriever.index, **settings).invoke("cats") == found
    assert retriever.search(["cats"], number) == retriever.search(["cats"], 3)
    assert retriever.index.search(["cats"], number) == retriever.index.search(["cats"], 3)
    assert type(HybridRetriever(index=retriever.index, k=number).k) is int


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3", np.float64(3.0)])
def test_what_counts_no_documents_is_refused(retriever: HybridRetriever, k: Any) -> None:
    with pytest.raises(InputError, match="k must be a whole number"):
        retriever.invoke("cats", k=k)


@pytest.mark.parametrize(
    "setting",
    [
        {"k": 0},
        {"k": "3"},
        {"min_score": "high"},
        {"min_score": float("nan")},
        {"with_scores": "yes"},
        {"diversity": -0.5},
        {"diversity": 2},
        {"diversity": "much"},
        {"time_budget": 0},
        {"time_budget": "long"},
    ],
    ids=str,
)
@pytest.mark.parametrize("stage", [{}, {"reranker": lambda query, texts: [1.0] * len(texts)}, {"split_queries": True}])
def test_settings_out_of_their_range_are_refused(
    retriever: HybridRetriever, setting: dict[str, Any], stage: dict[str, Any]
) -> None:
    made = HybridRetriever(index=retriever.index, **stage)
    for call in (made.invoke, lambda query, **given: made.batch([query], **given)):
        with pytest.raises(InputError, match=f"{next(iter(setting))} must be"):
            call("cats", **setting)
    with pytest.raises(InputError, match=f"{next(iter(setting))} must be"):
        made.search(["cats"], **setting)


DAY, UUID = datetime.date(2024, 2, 29), uuid.UUID(int=7)
MOMENT = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)
PLAIN: list[tuple[Any, Any]] = [
    (np.int64(7), 7),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.arange(3), [0, 1, 2]),
    (np.array([[1.5]]), [[1.5]]),
    (np.datetime64("2024-02-29"), "2024-02-29"),
    (np.datetime64("2024-02-29T12:30:00.000001"), "2024-02-29T12:30:00.000001"),
    (
        datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        "2024-02-29T10:00:00+00:00",
    ),
    (DAY, "2024-02-29"),
    (MOMENT, "2024-02-29T12:30:00+00:00"),
    (datetime.time(12, 30), "12:30:00"),
    (UUID, str(UUID)),
    (Path("a") / "b", str(Path("a") / "b")),
    ((1, np.int8(2)), [1, 2]),
    ({"deep": [np.int64(1), {"day": DAY}]}, {"deep": [1, {"day": "2024-02-29"}]}),
    (True, True),
    (None, None),
]


@pytest.mark.parametrize(("value", "stored"), PLAIN, ids=[str(value) for value, _ in PLAIN])
def test_metadata_of_numpy_and_dates_are_stored_as_json_has_them(embeddings: Any, value: Any, stored: Any) -> None:
    retriever = HybridRetriever.from_texts(["a"], [{"x": value}], ["a"], embedding=embeddings)
    retriever.add_documents([Document(id="b", page_content="a", metadata={"x": value})])
    retriever.add_texts(["a"], [{"x": value}], ["c"])
    retriever.upsert([Document(id="d", page_content="a", metadata={"x": value})])
    found = retriever.invoke("a")
    assert [document.metadata for document in found] == [{"x": stored}] * 4
    assert [type(document.metadata["x"]) for document in found] == [type(stored)] * 4


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"x",
        Decimal("1.5"),
        np.datetime64("NaT"),
        np.datetime64("2024-02-29T12:30:00.000000001"),
        np.float64("nan"),
        1j,
    ],
)
def test_metadata_that_json_cannot_hold_are_refused(embeddings: Any, value: Any) -> None:
    retriever = HybridRetriever.from_texts([], embedding=embeddings)
    with pytest.raises(InputError, match="the metadata of document 'a' cannot be held as JSON"):
        retriever.add_texts(["a"], [{"x": {"y": value}}], ["a"])
    assert len(retriever) == 0


def test_given_metadata_are_left_as_they_are(embeddings: Any) -> None:
    document = Document(page_content="a", metadata={"x": [np.int64(1)], "day": DAY})
    HybridRetriever.from_documents([document], embeddings)
    assert type(document.metadata["x"][0]) is np.int64
    assert document.metadata["day"] is DAY


def test_dates_of_a_filter_compare_as_stored_ones(embeddings: Any) -> None:
    days = [DAY + datetime.timedelta(days=number) for number in range(4)]
    retriever = HybridRetriever.from_texts(
        ["a"] * 4, [{"day": day} for day in days], ["0", "1", "2", "3"], embedding=embeddings
    )
    assert sorted(ids(retriever.invoke("a", filter={"day": {"$gte": days[1], "$lt": days[3]}})), key=str) == ["1", "2"]
    assert ids(retriever.invoke("a", filter={"day": days[2]})) == ["2"]
    assert ids(retriever.invoke("a", filter={"day": {"$in": [np.datetime64(days[3])]}})) == ["3"]
    assert ids(HybridRetriever(index=retriever.index, filter={"day": days[0]}).invoke("a")) == ["0"]


def test_a_path_may_begin_at_home(embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with HybridRetriever.from_texts(["cats"], path="~/one", embedding=embeddings) as made:
        made.save(Path("~/two"))
    for name in ("one", "two"):
        assert len(HybridRetriever.load(f"~/{name}", embeddings)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_models_folder_may_lie_at_home(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tiny_model.parent))
    monkeypatch.setenv("USERPROFILE", str(tiny_model.parent))
    assert len(HybridRetriever.from_texts(["cats"], embedding=f"~/{tiny_model.name}")) == 1


# Conversations


BY_WORDS = {"bm25": 1.0}


@pytest.mark.parametrize("how", ["batch", "abatch"])
@pytest.mark.parametrize("fails", [False, True])
async def test_each_query_of_a_batch_has_its_own_conversation(
    retriever: HybridRetriever, how: str, fails: bool
) -> None:
    async def ask(queries: list[Any], **arguments: Any) -> list[Any]:
        answers = getattr(retriever, how)(queries, return_exceptions=fails, k=2, weights=BY_WORDS, **arguments)
        return await answers if how == "abatch" else answers

    queries: list[Any] = ["what do they eat?", "where do they live?", "who makes honey?"]
    histories: list[Any] = [["tell me about cows"], [("user", "tell me about fish")], []]
    wanted = [
        retriever.invoke(query, k=2, weights=BY_WORDS, history=history)
        for query, history in zip(queries, histories, strict=True)
    ]
    if fails:
        queries, histories = [*queries, 5], [*histories, []]
    found = await ask(queries, histories=histories)
    assert found[:3] == wanted
    assert [answer[0].id for answer in found[:3]] == ["cow", "fish", "bee"]
    assert all(isinstance(answer, InputError) for answer in found[3:])
    shared = await ask(queries[:2], history=["tell me about cows"])
    assert shared == [
        retriever.invoke(query, k=2, weights=BY_WORDS, history=["tell me about cows"]) for query in queries[:2]
    ]


@pytest.mark.parametrize("histories", [[], [[]], [[], [], []], "ab"])
def test_conversations_that_do_not_fit_the_queries_are_refused(retriever: HybridRetriever, histories: Any) -> None:
    with pytest.raises(InputError, match="one conversation for each of the 2 queries"):
        retriever.batch(["a", "b"], histories=histories)
    with pytest.raises(InputError, match="give one of them"):
        retriever.batch(["a", "b"], histories=[[], []], history=["c"])


# Documents


@pytest.mark.parametrize("how", ["from_texts", "from_documents", "add_texts", "add_documents", "upsert"])
def test_long_texts_are_split_wherever_documents_come_in(embeddings: Any, how: str) -> None:
    text = "\n\n".join(f"Paragraph {number} about cats. " + "word " * 80 for number in range(6))
    document = Document(id="a", page_content=text, metadata={"x": 1})
    if how == "from_texts":
        retriever = HybridRetriever.from_texts([text], [{"x": 1}], ["a"], embedding=embeddings, chunk=True)
    elif how == "from_documents":
        retriever = HybridRetriever.from_documents([document], embeddings, chunk=True)
    else:
        retriever = HybridRetriever.from_texts([], embedding=embeddings)
        given: Any = ([text], [{"x": 1}], ["a"]) if how == "add_texts" else ([document],)
        getattr(retriever, how)(*given, chunk=True)
    found = retriever.invoke("cats", k=100)
    assert len(found) == len(retriever) > 2
    assert {document.metadata["parent"] for document in found} == {"a"}
    assert all(len(document.page_content) <= 1000 for document in found)


async def test_what_vector_stores_offer_is_there(retriever: HybridRetriever) -> None:
    assert await retriever.aadd_texts(["Emus run"], [{"legs": 2}], ["emu"]) == ["emu"]
    assert await retriever.aadd_documents([Document(id="yak", page_content="Yaks have wool")]) == ["yak"]
    assert len(retriever) == len(TEXTS) + 2
    found = retriever.get_by_ids(["yak", "nobody", "emu"])
    assert ids(found) == ["yak", "emu"]
    assert await retriever.aget_by_ids(["yak", "emu"]) == found
    assert retriever.info()["documents"] == len(retriever)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_closed_retriever_says_so(embeddings: Any, tmp_path: Path, where: str) -> None:
    path = tmp_path / "b" if where == "disk" else None
    with HybridRetriever.from_texts(["cats"], ids=["cat"], path=path, embedding=embeddings) as retriever:
        assert ids(retriever.invoke("cats")) == ["cat"]
    retriever.close()
    calls: list[Any] = [
        lambda: retriever.invoke("cats"),
        lambda: retriever.get(["cat"]),
        lambda: retriever.delete(["cat"]),
        lambda: retriever.add_texts(["dogs"]),
        retriever.info,
        lambda: retriever.save(tmp_path / "c"),
        retriever.fit,
        lambda: retriever.explain("cats", "cat"),
    ]
    for call in calls:
        with pytest.raises(BundleError, match="is closed; open it again"):
            call()
    if path is not None:
        assert len(HybridRetriever.load(path, embeddings)) == 1


def test_an_empty_retriever_is_true(embeddings: Any) -> None:
    retriever = HybridRetriever.from_texts([], embedding=embeddings)
    assert len(retriever) == 0
    assert retriever
    assert (retriever or None) is retriever


def test_embeddings_of_its_own_are_asked_once_a_text() -> None:
    embeddings = StubEmbeddings()
    HybridRetriever.from_texts(TEXTS.values(), embedding=embeddings)
    assert embeddings.batches == [list(TEXTS.values())]
