"""What an attacker may try: pickles, code in models, ways out of the bundle, SQL, looks past a filter."""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.documents import Document

from hybridret import HybridRetriever
from hybridret.check import check_bundle, repair_bundle
from hybridret.errors import BundleError, FilterError, InputError, ModelError
from hybridret.models import load_model


@pytest.fixture
def bundle(tiny_model: Path, tmp_path: Path) -> Path:
    HybridRetriever.from_texts(
        ["cats", "dogs"], ids=["cat", "dog"], path=tmp_path / "b", embedding_model=str(tiny_model), docid_levels=2
    )
    return tmp_path / "b"


def test_nothing_is_unpickled(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was unpickled")

    for owner, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(owner, name, refused)
    made = HybridRetriever.from_texts(["cats", "dogs"], path=tmp_path / "b", embedding_model=str(tiny_model))
    made.add_documents([Document(page_content="birds")])
    opened = HybridRetriever.load(tmp_path / "b")
    assert len(opened.invoke("cats")) == 3
    assert check_bundle(tmp_path / "b").faults == []


def edited(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    change(modules)
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("kind", ["os.system", "evil.Evil", "sentence_transformersx.Evil", "builtins.eval", None])
def test_a_model_may_name_sentence_transformers_modules_only(
    tiny_model: Path, tmp_path: Path, kind: str | None
) -> None:
    copy = copied(tiny_model, tmp_path)
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    edited(copy, lambda modules: modules[1].update(type=kind))
    with pytest.raises(ModelError, match="holds no model that can be loaded"):
        load_model(str(copy))
    assert not (tmp_path / "ran").exists()


def test_a_models_paths_stay_inside_its_folder(tiny_model: Path, tmp_path: Path) -> None:
    copy = copied(tiny_model, tmp_path)
    edited(copy, lambda modules: modules[1].update(path="../elsewhere"))
    with pytest.raises(ModelError, match="outside it"):
        load_model(str(copy))


def test_a_module_with_pickled_weights_or_a_foreign_function_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    copy = copied(tiny_model, tmp_path)
    (copy / "2_Dense").mkdir()
    edited(
        copy,
        lambda modules: modules.append(
            {
                "idx": 3,
                "name": "3",
                "path": "2_Dense",
                "type": "sentence_transformers.sentence_transformer.modules.Dense",
            }
        ),
    )
    config = {"in_features": 32, "out_features": 32, "bias": True, "activation_function": "os.abort"}
    (copy / "2_Dense" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"'os\.abort' that is not of torch\.nn"):
        load_model(str(copy))
    (copy / "2_Dense" / "config.json").write_text(json.dumps(config | {"activation_function": "torch.nn.Tanh"}))
    torch.save({"x": torch.zeros(1)}, copy / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is no safetensors file"):
        load_model(str(copy))


def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_links_in_a_bundle_are_refused(bundle: Path, tmp_path: Path) -> None:
    (vectors,) = bundle.glob("vectors.*")
    vectors.rename(tmp_path / "outside.safetensors")
    vectors.symlink_to(tmp_path / "outside.safetensors")
    with pytest.raises(BundleError, match="is a link"):
        HybridRetriever.load(bundle)
    assert any("is a link" in fault.message for fault in check_bundle(bundle).faults)
    vectors.unlink()
    (tmp_path / "outside.safetensors").rename(vectors)
    weights = bundle / "dense" / "model.safetensors"
    weights.rename(tmp_path / "weights")
    weights.symlink_to(tmp_path / "weights")
    with pytest.raises(BundleError, match="is a link"):
        HybridRetriever.load(bundle).invoke("cats")


def test_a_changed_model_file_is_noticed_before_it_is_loaded(bundle: Path) -> None:
    (bundle / "dense" / "extra.json").write_text("{}")
    with pytest.raises(ModelError, match=r"extra\.json is damaged"):
        HybridRetriever.load(bundle).invoke("cats")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER spy AFTER INSERT ON documents BEGIN DELETE FROM documents; END",
        "CREATE VIEW more AS SELECT * FROM documents",
        "CREATE TABLE more (x)",
        "ALTER TABLE documents ADD COLUMN more",
    ],
)
def test_a_database_with_another_schema_is_refused(bundle: Path, statement: str) -> None:
    connection = sqlite3.connect(bundle / "hybridret.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(BundleError, match="is not the database of a hybridret bundle"):
        HybridRetriever.load(bundle)


INJECTIONS = ["'; DROP TABLE documents; --", '" OR 1=1 --', "x') OR 1 --", "\\", "%", "_", "$.a", "[0]", "a\0b"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_nothing_that_a_caller_gives_becomes_sql(retriever: HybridRetriever, text: str) -> None:
    retriever.add_documents([Document(id=text, page_content=text, metadata={"k": text})])
    assert [document.id for document in retriever.invoke("cats", filter={"k": text})] == [text]
    assert retriever.invoke("cats", filter={"k": {"$in": [text + "x"]}}) == []
    assert [document.id for document in retriever.get([text])] == [text]
    assert retriever.delete([text])["num_deleted"] == 1
    assert len(retriever.index) == len(retriever.index.ids()) == 8


def test_a_document_outside_the_filter_shows_nowhere(
    retriever: HybridRetriever, caplog: pytest.LogCaptureFixture
) -> None:
    secret = Document(id="s3cret", page_content="zanzibar cats purr zanzibar", metadata={"tenant": "other"})
    retriever.add_documents([secret])
    theirs = {"tenant": {"$ne": "other"}}
    with caplog.at_level(logging.DEBUG):
        shown = [str(document) for document in retriever.invoke("zanzibar cats purr", k=100, filter=theirs)]
        shown += [str(hit) for hit in retriever.search(["zanzibar cats purr"], 100, theirs)[0]]
        for document in retriever.invoke("zanzibar cats", k=3, filter=theirs):
            assert document.id is not None
            shown.append(json.dumps(retriever.index.explain("zanzibar cats", document.id, theirs)))
    assert len(shown) == 8 + 8 + 3
    for text in (*shown[:16], caplog.text):
        assert "s3cret" not in text
        assert "zanzibar" not in text
    explanation = json.loads(shown[-1])
    assert explanation["candidates"] == 8
    assert "s3cret" not in shown[-1]
    messages = []
    for doc_id in ("s3cret", "nobody"):
        with pytest.raises(InputError) as caught:
            retriever.index.explain("zanzibar", doc_id, theirs)
        messages.append(str(caught.value).replace(doc_id, "ID"))
    assert messages[0] == messages[1]


def test_a_document_outside_the_filter_changes_no_dense_or_docid_score(retriever: HybridRetriever) -> None:
    theirs = {"tenant": {"$exists": False}}
    before = {name: retriever.search(["cats purr"], 8, theirs, [name]) for name in ("dense", "docid")}
    retriever.delete(["ant"])
    assert {hit.doc_id: hit.score for hit in retriever.search(["cats purr"], 8, theirs, ["dense"])[0]} == {
        hit.doc_id: hit.score for hit in before["dense"][0] if hit.doc_id != "ant"
    }


SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""What begins a rollback journal, and ends one that names a super-journal (SQLite's file format, 3.1 and 3.3)."""


def journal_naming(victim: Path, database: Path) -> bytes:
    """A rollback journal that puts the first page back as it is, and names a super-journal."""
    content, name, nonce = database.read_bytes(), str(victim).encode(), 7
    page_bytes = int.from_bytes(content[16:18], "big")
    page = content[:page_bytes]
    n_pages = len(content) // page_bytes
    checksum = (nonce + sum(page[at] for at in range(page_bytes - 200, 0, -200))) % 2**32
    header = SUPER_JOURNAL + struct.pack(">5I", 1, nonce, n_pages, 512, page_bytes)
    record = struct.pack(">I", 1) + page + struct.pack(">I", checksum)
    place, total = 0x40000000 // page_bytes + 1, sum(struct.unpack(f"{len(name)}b", name)) % 2**32
    return (
        header.ljust(512, b"\0")
        + record
        + struct.pack(">I", place)
        + name
        + struct.pack(">2I", len(name), total)
        + SUPER_JOURNAL
    )


@pytest.mark.parametrize("call", [HybridRetriever.load, check_bundle, repair_bundle], ids=["load", "check", "repair"])
def test_a_journal_cannot_make_sqlite_delete_a_file_elsewhere(bundle: Path, call: Any, tmp_path: Path) -> None:
    victim = tmp_path / "thesis"
    victim.write_text("years of work")
    journal = bundle / "hybridret.sqlite-journal"
    journal.write_bytes(journal_naming(victim, bundle / "hybridret.sqlite"))
    with contextlib.suppress(BundleError):
        assert not isinstance(call(bundle), HybridRetriever)
    assert victim.exists()
    assert any("names another file" in fault.message for fault in check_bundle(bundle).faults)
    copy = shutil.copytree(bundle, tmp_path / "copy")
    sqlite3.connect(copy / "hybridret.sqlite").execute("SELECT * FROM documents")
    assert not victim.exists(), "the journal is none that SQLite would have followed"


@pytest.mark.parametrize("name", ["hybridret.sqlite", "hybridret.sqlite.seal", "hybridret.sqlite-wal", "dense"])
def test_nothing_in_a_bundle_may_be_a_link(bundle: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    if (bundle / name).exists():
        (bundle / name).rename(outside)
    else:
        outside.touch()
    (bundle / name).symlink_to(outside)
    with pytest.raises(BundleError, match=f"{name} is a link"):
        HybridRetriever.load(bundle).invoke("cats")
    assert [fault.message for fault in check_bundle(bundle).faults if f"{name} is a link" in fault.message]


PIPES = """
import os, signal, sys
from pathlib import Path
from hybridret.check import check_bundle
from hybridret.errors import HybridretError
from hybridret.hybrid import HybridIndex
signal.alarm(120)
bundle = Path(sys.argv[1])
vectors = next(path.name for path in bundle.glob("vectors.*"))
kept = bundle.with_name("kept")

def is_refused(call):
    try:
        return bool(call())
    except HybridretError as error:
        return str(bundle) in str(error)

for name in ("hybridret.sqlite", "hybridret.sqlite.seal", "hybridret.sqlite-journal", "hybridret.sqlite-wal", vectors,
             "dense/modules.json", "dense/added_tokens.json"):
    file = bundle / name
    was_there = file.exists()
    if was_there:
        file.rename(kept)
    os.mkfifo(file)
    assert is_refused(lambda: check_bundle(bundle).faults), name
    assert is_refused(lambda: not HybridIndex.open(bundle).search(["cats"])), name
    file.unlink()
    if was_there:
        kept.rename(file)
assert check_bundle(bundle).faults == []
"""


def test_nothing_waits_for_a_pipe_in_a_bundle(bundle: Path, run_python: Callable[..., Any]) -> None:
    done = run_python(PIPES, bundle)
    assert done.returncode == 0, done.stderr[-2000:]


def test_metadata_that_are_no_object_are_refused(bundle: Path) -> None:
    row = (0, "cat", "cats", "[]", 0)
    connection = sqlite3.connect(bundle / "hybridret.sqlite")
    checksum = zlib.crc32("\0".join(map(str, row)).encode())
    connection.execute("UPDATE documents SET metadata = ?, checksum = ? WHERE key = 0", (row[3], checksum))
    connection.commit()
    connection.close()
    with pytest.raises(BundleError, match="document 'cat': its metadata are no object"):
        HybridRetriever.load(bundle).get(["cat"])
    assert any("no object" in fault.message for fault in check_bundle(bundle).faults)


def test_code_is_never_trusted_whatever_a_models_files_ask_for(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoConfig, AutoModel, AutoProcessor, AutoTokenizer

    copy = copied(tiny_model, tmp_path)
    keys = ("model_args", "model_kwargs", "config_args", "config_kwargs", "tokenizer_args", "processor_kwargs")
    trusted: dict[str, Any] = {key: {"trust_remote_code": True} for key in keys}
    for file, more in (
        ("sentence_bert_config.json", trusted),
        ("config_sentence_transformers.json", {"trust_remote_code": True, **trusted}),
        ("config.json", {"trust_remote_code": True}),
        ("tokenizer_config.json", {"trust_remote_code": True}),
        ("modules.json", {}),
    ):
        content = json.loads((copy / file).read_text())
        if isinstance(content, dict):
            content |= more
        else:
            content[0]["kwargs"] = [*content[0].get("kwargs", []), "trust_remote_code"]
        (copy / file).write_text(json.dumps(content))
    asked: list[Any] = []

    def noting(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            asked.append(named.get("trust_remote_code"))
            return real(*arguments, **named)

        return call

    for owner in (AutoConfig, AutoModel, AutoProcessor, AutoTokenizer):
        monkeypatch.setattr(owner, "from_pretrained", noting(owner.from_pretrained))
    with contextlib.suppress(ModelError):
        load_model(str(copy))
    assert load_model(str(tiny_model)) is not None
    assert len(asked) >= 3
    assert not any(asked)


def test_a_models_own_code_is_not_run(tiny_model: Path, tmp_path: Path) -> None:
    copy = copied(tiny_model, tmp_path)
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    kinds = {"config.json": ("AutoConfig", "AutoModel"), "tokenizer_config.json": ("AutoTokenizer", "AutoProcessor")}
    for file, names in kinds.items():
        content = json.loads((copy / file).read_text())
        content |= {"auto_map": dict.fromkeys(names, "evil.Evil"), "model_type": "evil", "tokenizer_class": "Evil"}
        (copy / file).write_text(json.dumps(content))
    with pytest.raises(ModelError, match="holds no model that can be loaded"):
        load_model(str(copy))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["'; DROP TABLE documents; --", "x') OR 1 --", "\\", "%", "$.a", "[0]", "a\0b", "ключ"])
def test_no_key_of_a_filter_becomes_sql(retriever: HybridRetriever, key: str) -> None:
    retriever.add_documents([Document(id="new", page_content="cats", metadata={key: 1})])
    if key.startswith("$"):
        with pytest.raises(FilterError):
            retriever.invoke("cats", filter={key: 1})
        key = "a"
        assert retriever.invoke("cats", filter={key: 1}) == []
    else:
        assert [document.id for document in retriever.invoke("cats", filter={key: 1})] == ["new"]
        assert len(retriever.invoke("cats", k=100, filter={"$not": {key: 1}})) == 8
    assert len(retriever.index.ids()) == 9


@pytest.mark.parametrize("key", ['"', 'a"."b', "$where", "$", "$$"])
def test_keys_that_could_leave_their_place_are_refused(retriever: HybridRetriever, key: str) -> None:
    for filter in ({key: 1}, {"legs": {key: 1}}, {"$and": [{key: {"$gt": 1}}]}):
        with pytest.raises(FilterError):
            retriever.invoke("cats", filter=filter)
    assert len(retriever.index.ids()) == 8
