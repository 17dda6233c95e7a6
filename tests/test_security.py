"""What an attacker may try: pickles, code in models, ways out of the bundle, SQL, looks past a filter."""

from __future__ import annotations

import json
import logging
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.documents import Document

from hybridret import HybridRetriever
from hybridret.check import check_bundle
from hybridret.errors import BundleError, InputError, ModelError
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
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


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
