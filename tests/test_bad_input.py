"""Every kind of bad input that issue 2 lists: one clear error, or a sensible result, and nothing half-written."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from hybridret import HybridRetriever
from hybridret.data.readers import read_corpus
from hybridret.errors import BundleError, CorpusError, HybridretError, InputError, ModelError
from hybridret.types import RETRIEVERS

TEXTS = ["cats purr and sleep", "dogs bark at night", "bees make honey"]
IDS = ["cat", "dog", "bee"]
ODD = {
    "empty": "",
    "blank": " \t\n\u3000",
    "nul": "\0",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x9b cats \u202e\u2028",
    "high surrogate": "cats \ud800",
    "low surrogate": "\udfff cats",
    "surrogates the wrong way round": "\udc00\ud800 cats",
    "replacement": "\ufffd\ufffe\uffff",
    "punctuation": "?!… --- ***",
    "emoji": "\U0001f431\u200d\U0001f469",
    "one hundred thousand characters": "cats " * 20_000,
    "one word of one hundred thousand characters": "c" * 100_000,
    "markup": "<script>'; DROP TABLE documents; --",
    "special tokens": "[CLS] [SEP] [PAD] [MASK] cats",
}


@pytest.fixture(scope="module")
def small(tiny_model: Path) -> HybridRetriever:
    return HybridRetriever.from_texts(TEXTS, ids=IDS, embedding_model=str(tiny_model))


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bad") / "bundle"
    HybridRetriever.from_texts(TEXTS * 40, path=path, embedding_model=str(tiny_model))
    return path


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


@pytest.fixture
def nothing_written(tmp_path: Path) -> Iterator[None]:
    """The folder of the test is as it was."""

    def listing() -> list[tuple[str, bytes]]:
        return sorted(
            (str(path.relative_to(tmp_path)), path.read_bytes() if path.is_file() else b"")
            for path in tmp_path.rglob("*")
        )

    before = listing()
    yield
    after = listing()
    assert [name for name, _ in after] == [name for name, _ in before]
    assert after == before


def use(path: Path) -> Any:
    """Does with a bundle whatever reads all of it."""
    retriever = HybridRetriever.load(path)
    retriever.get(sorted(retriever.index.ids()))
    retriever.index.info()
    return retriever.invoke("cats", filter={"no": None})


# Corpora


def test_an_empty_corpus_of_the_library_is_an_empty_retriever(tiny_model: Path) -> None:
    empty = HybridRetriever.from_documents([], embedding_model=str(tiny_model))
    assert empty.invoke("cats") == []
    assert empty.batch(["cats", ""]) == [[], []]
    assert empty.search(["cats"]) == [[]]
    assert empty.index.info()["documents"] == 0
    assert empty.delete(["cat"])["num_deleted"] == 0
    with pytest.raises(InputError, match="no document 'cat'"):
        empty.explain("cats", "cat")


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "folder"])
def test_an_empty_corpus_on_disk_is_refused(tmp_path: Path, name: str) -> None:
    if name == "folder":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).touch()
    with pytest.raises(CorpusError, match="holds n"):
        read_corpus(str(tmp_path / name))


@pytest.mark.parametrize("texts", [[""], ["", "", ""], ["", "cats purr"], [" ", "\n"], ["!!!", "the of and"]])
def test_empty_texts_are_kept_and_never_found(tiny_model: Path, texts: list[str]) -> None:
    retriever = HybridRetriever.from_texts(texts, embedding_model=str(tiny_model), k=10)
    with_text = [text for text in texts if text.strip()]
    for query in ("cats", "the", "!"):
        found = retriever.invoke(query)
        assert sorted(document.page_content for document in found) == sorted(with_text)
        for retrieving in RETRIEVERS:
            hits = retriever.search([query], 10, retrievers=[retrieving])[0]
            assert len(hits) == len(with_text)
            assert all(hit.score == hit.score for hit in hits)
        for document in found:
            retriever.explain(query, str(document.id))
    kept = retriever.get(sorted(retriever.index.ids()))
    assert sorted(document.page_content for document in kept) == sorted(texts)
    assert retriever.index.info()["documents_without_text"] == len(texts) - len(with_text)


@pytest.mark.usefixtures("nothing_written")
def test_duplicate_ids_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="document id 'cat' is given twice"):
        HybridRetriever.from_texts(
            TEXTS, ids=["cat", "dog", "cat"], path=tmp_path / "b", embedding_model=str(tiny_model)
        )


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("doc_id", [5, 1.5, b"cat", ("cat",), True])
def test_ids_that_are_no_strings_are_refused(tiny_model: Path, tmp_path: Path, doc_id: Any) -> None:
    with pytest.raises(InputError, match="the id of document 2 must be a string, not"):
        HybridRetriever.from_texts(TEXTS, ids=["a", "b", doc_id], path=tmp_path / "b", embedding_model=str(tiny_model))


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("doc_id", ["", "cat\ud800"])
def test_ids_that_are_no_valid_text_are_refused(tiny_model: Path, tmp_path: Path, doc_id: str) -> None:
    with pytest.raises(InputError, match="has an id that is empty or no valid text"):
        HybridRetriever.from_texts(TEXTS[:1], ids=[doc_id], path=tmp_path / "b", embedding_model=str(tiny_model))


@pytest.mark.parametrize(
    "doc_id", ["a\0b", "\x01\x1b[31m", "a\nb", "../../etc/passwd", "猫", "a'b\"c", " ", "x" * 100_000]
)
def test_ids_of_odd_characters_work(embeddings: Any, tmp_path: Path, doc_id: str) -> None:
    made = HybridRetriever.from_texts(TEXTS, ids=[doc_id, "b", "c"], path=tmp_path / "b", embedding_model=embeddings)
    for retriever in (made, HybridRetriever.load(tmp_path / "b", embedding_model=embeddings)):
        assert retriever.invoke("cats purr", k=1)[0].id == doc_id
        assert retriever.get([doc_id])[0].page_content == TEXTS[0]
        assert retriever.explain("cats", doc_id)["doc_id"] == doc_id
    assert made.delete([doc_id])["succeeded"] == [doc_id]


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_texts_of_odd_characters_are_indexed_and_kept(tiny_model: Path, tmp_path: Path, text: str) -> None:
    made = HybridRetriever.from_texts(
        [text, *TEXTS], ids=["odd", *IDS], path=tmp_path / "b", embedding_model=str(tiny_model), k=4
    )
    for retriever in (made, HybridRetriever.load(tmp_path / "b")):
        seen = {"odd"} if re.search(r"[^\s\0]", text) else set()
        assert {document.id for document in retriever.invoke("cats")} == {*seen, *IDS}
        (kept,) = retriever.get(["odd"])
        assert kept.page_content == re.sub("[\ud800-\udfff]", "\ufffd", text)


@pytest.mark.parametrize("value", ["a\0b", "\x1b[31m", "lone \ud800 surrogate", "猫"])
def test_metadata_of_odd_characters_are_kept(embeddings: Any, value: str) -> None:
    retriever = HybridRetriever.from_texts(["cats"], [{"x": value}], ["a"], embedding_model=embeddings)
    (kept,) = retriever.get(["a"])
    assert kept.metadata["x"] in (value, value.replace("\ud800", "\ufffd"))
    kept.metadata["x"].replace("\ud800", "").encode()


@pytest.mark.usefixtures("nothing_written")
def test_texts_that_are_no_strings_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    texts: Any = ["cats", None]
    with pytest.raises(InputError, match="must be a string, not NoneType"):
        HybridRetriever.from_texts(texts, path=tmp_path / "b", embedding_model=str(tiny_model))


def test_a_generator_is_read_once(tiny_model: Path) -> None:
    retriever = HybridRetriever.from_documents(
        (Document(id=doc_id, page_content=text) for doc_id, text in zip(IDS, TEXTS, strict=True)),
        embedding_model=str(tiny_model),
    )
    assert retriever.index.ids() == set(IDS)
    exhausted = iter(TEXTS)
    list(exhausted)
    assert len(HybridRetriever.from_texts(exhausted, embedding_model=str(tiny_model)).index) == 0


@pytest.mark.usefixtures("nothing_written")
def test_a_generator_that_fails_leaves_nothing_behind(tiny_model: Path, tmp_path: Path) -> None:
    def texts() -> Iterator[str]:
        yield "cats"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        HybridRetriever.from_texts(texts(), path=tmp_path / "b", embedding_model=str(tiny_model))


def test_a_corpus_line_that_is_not_json_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "b"}\n\n{"_id": "c", "text": \n')
    with pytest.raises(CorpusError, match=r"corpus\.jsonl:3: not JSON"):
        read_corpus(str(tmp_path))


def test_a_missing_column_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("_id,prose\na,b\n")
    with pytest.raises(CorpusError, match=r"c\.csv:2: no column text or .*; there are _id, prose"):
        read_corpus(str(tmp_path / "c.csv"))


# Queries


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", True])
def test_k_that_is_no_number_from_one_up_is_refused(small: HybridRetriever, k: Any) -> None:
    with pytest.raises(InputError, match="k must be a whole number from 1 up"):
        small.invoke("cats", k=k)
    with pytest.raises(InputError, match="k must be a whole number from 1 up"):
        small.search(["cats"], k=k)


def test_k_zero_of_the_constructor_is_refused(small: HybridRetriever) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        HybridRetriever(index=small.index, k=0)


@pytest.mark.parametrize("k", [3, 4, 1_000_000, 2**63])
def test_k_beyond_the_corpus_is_clamped(small: HybridRetriever, k: int) -> None:
    assert sorted(str(document.id) for document in small.invoke("cats", k=k)) == sorted(IDS)
    for retriever in RETRIEVERS:
        assert len(small.search(["cats"], k, retrievers=[retriever])[0]) == 3


@pytest.mark.parametrize("query", ODD.values(), ids=ODD.keys())
def test_queries_of_odd_characters_are_answered(small: HybridRetriever, query: str) -> None:
    wanted = 3 if query.strip() else 0
    assert len(small.invoke(query)) == wanted
    assert [len(answer) for answer in small.batch([query, "cats"])] == [wanted, 3]
    for retriever in RETRIEVERS:
        assert len(small.search([query], retrievers=[retriever])[0]) == wanted


@pytest.mark.parametrize("query", ["", " ", "\n\t"])
def test_an_empty_query_finds_nothing(small: HybridRetriever, query: str) -> None:
    assert small.invoke(query) == []
    assert small.search([query, "cats"])[0] == []


@pytest.mark.parametrize("query", [None, 5, b"cats", ["cats"]])
def test_a_query_that_is_no_string_is_refused(small: HybridRetriever, query: Any) -> None:
    with pytest.raises(InputError, match="a query must be a string"):
        small.invoke(query)


# Bundles


@pytest.mark.usefixtures("nothing_written")
def test_a_path_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a hybridret bundle: it does not exist"):
        HybridRetriever.load(tmp_path / "absent")
    with pytest.raises(BundleError, match=r"is not a hybridret bundle: it has no hybridret\.sqlite"):
        HybridRetriever.load(tmp_path)


def test_a_bundle_of_a_newer_schema_is_refused_and_left_alone(bundle: Path) -> None:
    connection = sqlite3.connect(bundle / "hybridret.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    content = (bundle / "hybridret.sqlite").read_bytes()
    with pytest.raises(BundleError, match="has schema 99, this hybridret reads 2: it was written by a newer one"):
        HybridRetriever.load(bundle)
    assert (bundle / "hybridret.sqlite").read_bytes() == content


@pytest.mark.parametrize("part", ["vectors", "bm25", "codebooks", "docid"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "one byte less", "one byte changed", "one byte more"])
def test_a_damaged_array_file_is_named(bundle: Path, part: str, damage: str) -> None:
    (file,) = bundle.glob(f"{part}.*.safetensors")
    content = file.read_bytes()
    damaged = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "one byte less": content[:-1],
        "one byte changed": content[:-1] + bytes([content[-1] ^ 255]),
        "one byte more": content + b"\0",
    }
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(damaged[damage])
    with pytest.raises(BundleError, match=file.name):
        HybridRetriever.load(bundle)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_database_is_named(bundle: Path, kept: float) -> None:
    file = bundle / "hybridret.sqlite"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BundleError, match=r"hybridret\.sqlite"):
        use(bundle)


def test_a_database_full_of_noise_is_named(bundle: Path) -> None:
    (bundle / "hybridret.sqlite").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    with pytest.raises(BundleError, match=r"hybridret\.sqlite"):
        use(bundle)


@pytest.mark.parametrize("state", ["", "{}", "[]", "nonsense", '{"files": {"vectors": ["a"]}}', '{"files": 3}', "null"])
def test_a_state_that_makes_no_sense_is_refused(bundle: Path, state: str) -> None:
    connection = sqlite3.connect(bundle / "hybridret.sqlite")
    connection.execute("UPDATE state SET value = ?", [state])
    connection.commit()
    connection.close()
    with pytest.raises(BundleError, match="is damaged"):
        HybridRetriever.load(bundle)


def test_a_bundle_whose_documents_outnumber_its_vectors_is_refused(bundle: Path) -> None:
    connection = sqlite3.connect(bundle / "hybridret.sqlite")
    connection.execute("INSERT INTO documents VALUES (100000, 'extra', 'text', '{}', 0, 0)")
    connection.commit()
    connection.close()
    with pytest.raises(
        BundleError, match="is damaged: its parts do not fit together: there are documents without vectors"
    ):
        HybridRetriever.load(bundle)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "modules.json", "tokenizer.json"])
def test_a_truncated_model_is_said_when_it_is_needed_and_bm25_goes_on(bundle: Path, file: str) -> None:
    content = (bundle / "dense" / file).read_bytes()
    (bundle / "dense" / file).write_bytes(content[: len(content) // 2])
    retriever = HybridRetriever.load(bundle)
    for _ in range(2):
        with pytest.raises(ModelError, match="dense"):
            retriever.invoke("cats")
    assert len(retriever.search(["cats"], 5, retrievers=["bm25"])[0]) == 5
    with pytest.raises(ModelError):
        retriever.add_documents([Document(id="new", page_content="x")])
    assert retriever.get(["new"]) == []


def test_a_bundle_whose_model_folder_is_gone_says_what_is_missing(bundle: Path) -> None:
    shutil.rmtree(bundle / "dense")
    with pytest.raises(ModelError):
        HybridRetriever.load(bundle).invoke("cats")


def test_a_database_that_another_process_holds_is_a_clear_error(bundle: Path) -> None:
    retriever = HybridRetriever.load(bundle, lock_timeout=0.01)
    before = sorted(path.name for path in bundle.iterdir())
    holder = sqlite3.connect(bundle / "hybridret.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BundleError, match="another process is writing to it"):
        retriever.add_documents([Document(id="new", page_content="x")])
    holder.execute("ROLLBACK")
    holder.close()
    assert sorted(path.name for path in bundle.iterdir()) == before
    assert retriever.add_documents([Document(id="new", page_content="x")]) == ["new"]


def test_leftovers_of_an_interrupted_change_do_no_harm(bundle: Path) -> None:
    (bundle / "vectors.99.safetensors").write_bytes(b"half")
    retriever = HybridRetriever.load(bundle)
    assert len(retriever.invoke("cats")) == 4
    retriever.add_documents([Document(id="new", page_content="x")])
    assert not (bundle / "vectors.99.safetensors").exists()
    assert "new" in HybridRetriever.load(bundle).index.ids()


# Models


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nobody/nothing", "could not be loaded from the Hugging Face hub or its cache"),
        ("/nowhere/at/all", "there is no model folder"),
        (Path(__file__).parent, "is not a model folder"),
        (Path(__file__), "is not a model folder"),
        ("", "model"),
        (5, "is no embedding model"),
        ("x" * 300, "x"),
        ("a b\0c", "model"),
    ],
    ids=["hub", "absent", "folder", "file", "empty", "number", "long", "nul"],
)
def test_a_model_that_is_none_is_refused(tmp_path: Path, model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        HybridRetriever.from_texts(TEXTS, path=tmp_path / "b", embedding_model=model)


def test_every_error_is_of_one_family() -> None:
    for kind in (InputError, CorpusError, BundleError, ModelError):
        assert issubclass(kind, HybridretError)
    assert issubclass(InputError, ValueError)


# Nothing half-written


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("settings", [{"k": 0}, {"depth": 0}, {"fusion": "x"}, {"index": "x"}, {"weights": {"x": 1}}])
def test_settings_at_fault_leave_nothing_behind(tiny_model: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"(?i)k|depth|fusion|index|weight"):
        HybridRetriever.from_texts(TEXTS, path=tmp_path / "b", embedding_model=str(tiny_model), **settings)


@pytest.mark.usefixtures("nothing_written")
def test_metadata_at_fault_leave_nothing_behind(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be held as JSON"):
        HybridRetriever.from_texts(TEXTS[:1], [{"x": {1, 2}}], path=tmp_path / "b", embedding_model=str(tiny_model))


@pytest.mark.usefixtures("nothing_written")
def test_a_model_that_cannot_be_saved_leaves_nothing_behind(embeddings: Any, tmp_path: Path) -> None:
    from hybridret.dense import EmbeddingsEncoder
    from hybridret.hybrid import HybridIndex
    from hybridret.types import Document as Record

    class Unsaveable(EmbeddingsEncoder):
        def save(self, folder: Path) -> None:
            folder.mkdir()
            (folder / "half").touch()
            raise OSError("the disk is full")

    with pytest.raises(BundleError, match="the disk is full"):
        HybridIndex.build([Record("a", "cats", {})], Unsaveable(embeddings), path=tmp_path / "b")


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("where", ["folder", "file"])
def test_a_place_that_is_taken_is_left_alone(
    small: HybridRetriever, tmp_path_factory: pytest.TempPathFactory, where: str
) -> None:
    place = tmp_path_factory.mktemp("taken")
    (place / "thesis.txt").write_text("years of work")
    target = place if where == "folder" else place / "thesis.txt"
    with pytest.raises(BundleError, match="is not a bundle; it is left as it is"):
        small.save(target)
    assert [path.read_text() for path in place.iterdir()] == ["years of work"]


def test_a_place_below_a_file_is_refused(small: HybridRetriever, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError):
        small.save(tmp_path / "file" / "bundle")
