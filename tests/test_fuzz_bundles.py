"""Damaged and hostile bundles: the command line answers rightly, or refuses in one line, without a traceback."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import sqlite3
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from hybridret import HybridRetriever
from hybridret.cli import main
from hybridret.dense import TransformerEncoder
from hybridret.models import load_model

N_BYTES, N_HOSTILE = 330, 170
WORDS = "pump valve reset button water steam boiler gauge lever motor belt wheel".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def sound(tiny_encoder: TransformerEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a past: additions and deletions, so that all kinds of files are there."""
    from langchain_core.documents import Document

    rng = random.Random(0)
    path = tmp_path_factory.mktemp("sound") / "b"
    texts = [" ".join(rng.choices(WORDS, k=6)) for _ in range(30)]
    made = HybridRetriever.from_texts(
        texts,
        [{"n": at} for at in range(30)],
        [f"d{at}" for at in range(30)],
        path=path,
        embedding_model=tiny_encoder._original,
        docid_levels=2,
    )
    made.add_documents([Document(id="new", page_content="a new pump", metadata={"n": 99})])
    made.delete(["d3"])
    return path


@pytest.fixture(autouse=True)
def one_model(tiny_encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads the model's weights once for all bundles; what is checked before loading is checked all the same."""
    monkeypatch.setattr("hybridret.persistence.load_model", lambda _: tiny_encoder._original)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    out, error = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "argv", ["hybridret", *arguments])
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 0
    return code, out.getvalue(), error.getvalue()


def search(monkeypatch: pytest.MonkeyPatch, path: Path, retrievers: str) -> tuple[int, Any, str]:
    code, out, error = run(
        monkeypatch, "search", str(path), "reset the pump", "-k", "40", "--json", "--retrievers", retrievers
    )
    return code, json.loads(out)["hits"] if code == 0 else None, error


def refused(code: int, error: str) -> bool:
    lines = [line for line in error.splitlines() if line.strip()]
    return code == 2 and len(lines) == 1 and lines[0].startswith("hybridret: ")


def damage_bytes(rng: random.Random, path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    file = rng.choice(files)
    content = bytearray(file.read_bytes())
    kind = rng.choice(["flip", "flip", "flip", "truncate", "append", "zero", "swap", "delete"])
    file.unlink()
    if kind == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "truncate":
        content = content[: rng.randrange(len(content))]
    elif kind == "append":
        content += rng.randbytes(rng.randint(1, 50))
    elif kind == "zero":
        at = rng.randrange(len(content))
        content[at : at + 16] = bytes(b ^ 255 for b in content[at : at + 16])
    elif kind == "swap":
        content = bytearray(rng.choice([one for one in files if one != file]).read_bytes())
    if kind != "delete":
        file.write_bytes(content)
    return f"{kind} {file.name}"


@pytest.mark.slow
def test_any_damaged_byte_is_refused_and_nothing_wrong_is_answered(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, outcomes = random.Random(1), Counter[str]()
    expected = {name: search(monkeypatch, sound, name)[1] for name in ("bm25", "dense,bm25,docid")}
    assert len(expected["bm25"]) == 30
    for number in range(N_BYTES):
        path = tmp_path / str(number)
        shutil.copytree(sound, path)
        what = damage_bytes(rng, path)
        name = rng.choice(list(expected))
        code, hits, error = search(monkeypatch, path, name)
        harmless = what == "delete hybridret.sqlite.seal"
        if code == 0:
            assert hits == expected[name], what
            outcomes["right answer"] += 1
        else:
            assert refused(code, error), (what, code, error)
            outcomes["refused"] += 1
        code, _, error = run(monkeypatch, "check", str(path))
        assert code == 0 if harmless else refused(code, error), (what, code, error)
        shutil.rmtree(path)
    assert outcomes["refused"] > N_BYTES // 2, outcomes


def state_of(path: Path) -> Any:
    connection = sqlite3.connect(path / "hybridret.sqlite")
    (value,) = connection.execute("SELECT value FROM state").fetchone()
    connection.close()
    return json.loads(value)


def write_state(path: Path, state: Any) -> None:
    """Writes a state with checksums that are right, as an attacker would."""
    encoded = json.dumps(state)
    connection = sqlite3.connect(path / "hybridret.sqlite")
    connection.execute("UPDATE state SET value = ?, checksum = ?", [encoded, zlib.crc32(encoded.encode())])
    connection.commit()
    connection.close()
    (path / "hybridret.sqlite.seal").unlink()


ODD_VALUES: list[Any] = [None, True, -1, 0, 2**40, 2**70, 1e300, "", "x", "../x", "/etc/passwd", [], {}, [[]], {"a": 1}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def odd_state(rng: random.Random, path: Path) -> str:
    state = state_of(path)
    place = rng.choice([one for one in places(state) if one[0] != "generation"])
    holder = state
    for key in place[:-1]:
        holder = holder[key]
    value = rng.choice(ODD_VALUES)
    if rng.random() < 0.2 and isinstance(holder, dict):
        del holder[place[-1]]
        value = "nothing"
    else:
        holder[place[-1]] = value
    write_state(path, state)
    return f"state {place} = {value!r}"


def odd_arrays(rng: random.Random, path: Path) -> str:
    """Replaces an array by another, with a checksum that is right."""
    state = state_of(path)
    part = rng.choice(sorted(state["files"]))
    at = rng.randrange(len(state["files"][part]))
    name, _, _, rows = state["files"][part][at]
    arrays = load((path / name).read_bytes())
    key = rng.choice(sorted(arrays))
    array = arrays[key]
    changes: dict[str, Callable[[], Any]] = {
        "shorter": lambda: array[: len(array) // 2],
        "longer": lambda: np.concatenate([array, array]),
        "flat": lambda: array.reshape(-1),
        "deeper": lambda: array[None],
        "floats": lambda: array.astype(np.float64),
        "bytes": lambda: array.astype(np.int8),
        "ones": lambda: np.full_like(array, 1),
        "most": lambda: np.full_like(array, np.inf if array.dtype.kind == "f" else np.iinfo(array.dtype).max),
        "reversed": lambda: np.ascontiguousarray(array[::-1]),
        "none": lambda: array[:0],
    }
    kind = rng.choice([*changes, "missing"])
    if kind == "missing":
        del arrays[key]
    else:
        arrays[key] = np.ascontiguousarray(changes[kind]())
    content = save(arrays)
    (path / name).unlink()
    (path / name).write_bytes(content)
    state["files"][part][at] = [name, hashlib.sha256(content).hexdigest(), len(content), rows]
    write_state(path, state)
    return f"{part}.{key} {kind}"


def odd_rows(rng: random.Random, path: Path) -> str:
    statements = [
        "UPDATE documents SET metadata = '[' WHERE id = 'd1'",
        "UPDATE documents SET text = 5 WHERE id = 'd1'",
        "UPDATE documents SET id = x'00ff' WHERE id = 'd1'",
        "UPDATE documents SET key = 1000 WHERE id = 'd1'",
        "UPDATE documents SET key = -5 WHERE id = 'd1'",
        "DELETE FROM documents WHERE id = 'd1'",
        "UPDATE documents SET text = 'pump pump pump' WHERE id = 'd1'",
        "DELETE FROM state",
        "UPDATE state SET generation = 'x'",
        "UPDATE state SET generation = generation + 1",
        "UPDATE state SET value = '[1]', checksum = 5",
        "INSERT INTO deleted VALUES ('x', 'y')",
        "DELETE FROM deleted",
        "PRAGMA user_version = 1",
        "DROP TABLE deleted",
        "CREATE TRIGGER t AFTER DELETE ON documents BEGIN DELETE FROM state; END",
    ]
    statement = rng.choice(statements)
    connection = sqlite3.connect(path / "hybridret.sqlite")
    with contextlib.suppress(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.commit()
    connection.close()
    (path / "hybridret.sqlite.seal").unlink()
    return statement


@pytest.mark.slow
def test_a_hostile_bundle_with_right_checksums_ends_in_an_answer_or_one_line(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, outcomes = random.Random(3), Counter[str]()
    ids = {f"d{at}" for at in range(30)} | {"new", "zebra"}
    (tmp_path / "c.jsonl").write_text('{"_id": "zebra", "text": "a zebra"}\n')
    for number in range(N_HOSTILE):
        path = tmp_path / str(number)
        shutil.copytree(sound, path)
        what = rng.choice([odd_state, odd_arrays, odd_rows])(rng, path)
        is_added = False
        for command in (
            ["search", str(path), "pump", "-k", "40", "--json"],
            ["info", str(path), "--json"],
            ["check", str(path)],
            ["add", str(path), str(tmp_path / "c.jsonl")],
            ["search", str(path), "zebra", "-k", "40", "--json", "--retrievers", "bm25"],
        ):
            code, out, error = run(monkeypatch, *command)
            if code != 0:
                assert refused(code, error.replace("━", "").splitlines()[-1]), (what, command[0], code, error)
                outcomes["refused"] += 1
                continue
            outcomes["answered"] += 1
            is_added |= command[0] == "add"
            if command[0] == "search":
                found = [hit["id"] for hit in json.loads(out)["hits"]]
                assert len(set(found)) == len(found), what
                assert set(found) <= ids, what
                assert ("zebra" in found) == is_added, what
        shutil.rmtree(path)
    assert min(outcomes["refused"], outcomes["answered"]) > 20, outcomes


def edit(statement: str) -> Callable[[Path], None]:
    def edited(path: Path) -> None:
        connection = sqlite3.connect(path / "hybridret.sqlite")
        connection.execute(statement)
        connection.commit()
        connection.close()

    return edited


def without_part(part: str) -> Callable[[Path], None]:
    def edited(path: Path) -> None:
        state = state_of(path)
        state["files"][part] = []
        write_state(path, state)

    return edited


def with_array(part: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Changes the arrays of a part's first file, with a checksum that is right."""

    def edited(path: Path) -> None:
        state = state_of(path)
        name, _, _, rows = state["files"][part][0]
        arrays = load((path / name).read_bytes())
        change(arrays)
        content = save({key: np.ascontiguousarray(array) for key, array in arrays.items()})
        (path / name).write_bytes(content)
        state["files"][part][0] = [name, hashlib.sha256(content).hexdigest(), len(content), rows]
        write_state(path, state)

    return edited


def as_floats(name: str, value: float) -> Callable[[dict[str, Any]], None]:
    def change(arrays: dict[str, Any]) -> None:
        arrays[name] = arrays[name].astype(np.float64)
        arrays[name].flat[0] = value

    return change


def enlarged(path: Path) -> None:
    """A sparse file of a thousand gigabytes."""
    os.truncate(next(path.glob("vectors.*")), 10**12)


def foldered(path: Path) -> None:
    file = next(path.glob("vectors.*"))
    file.unlink()
    file.mkdir()


INCONSISTENT: dict[str, Callable[[Path], None]] = {
    "a document is lost": edit("DELETE FROM documents WHERE id = 'd5'"),
    "all documents are lost": edit("DELETE FROM documents"),
    "a document is there and deleted": edit("INSERT INTO deleted VALUES (5, 2)"),
    "a deletion is forgotten": edit("DELETE FROM deleted"),
    "a document without an id": edit("UPDATE documents SET id = '' WHERE id = 'd5'"),
    "an id of bytes": edit("UPDATE documents SET id = x'6435' WHERE id = 'd5'"),
    "a generation that is none": edit("UPDATE state SET generation = 'x'"),
    "no codebooks": without_part("codebooks"),
    "no docids": without_part("docid"),
    "no postings": without_part("bm25"),
    "no vectors": without_part("vectors"),
    "counts that are not whole": with_array("bm25", as_floats("counts", 1.5)),
    "counts that are no numbers": with_array("bm25", as_floats("counts", np.nan)),
    "lengths without end": with_array("bm25", as_floats("lengths", np.inf)),
    "codes that are no numbers": with_array("docid", as_floats("codes", np.nan)),
    "suffixes without end": with_array("docid", as_floats("suffixes", 1e300)),
    "an array without end": enlarged,
    "an array that is a folder": foldered,
}


@pytest.mark.parametrize("damage", INCONSISTENT.values(), ids=INCONSISTENT.keys())
def test_parts_that_do_not_fit_are_refused_by_every_command(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    path = Path(shutil.copytree(sound, tmp_path / "b"))
    (tmp_path / "c.jsonl").write_text('{"_id": "zebra", "text": "a zebra"}\n')
    damage(path)
    for command in (["check", str(path)], ["search", str(path), "pump"], ["info", str(path)]):
        code, _, error = run(monkeypatch, *command)
        assert refused(code, error), (command[0], code, error)
    code, _, error = run(monkeypatch, "add", str(path), str(tmp_path / "c.jsonl"))
    assert refused(code, error)


def put(file: str, *keys: Any, value: Any) -> Callable[[Path], None]:
    """Changes a JSON file of the model, and the digest that the state has of it."""

    def edited(path: Path) -> None:
        content = json.loads((path / "dense" / file).read_text())
        holder = content
        for key in keys[:-1]:
            holder = holder[key]
        holder[keys[-1]] = value
        (path / "dense" / file).write_text(json.dumps(content))
        state = state_of(path)
        state["model_files"][file] = hashlib.sha256((path / "dense" / file).read_bytes()).hexdigest()
        write_state(path, state)

    return edited


MODELS: dict[str, Callable[[Path], None]] = {
    "module without a type": put("modules.json", 0, "type", value=None),
    "module that is a function": put("modules.json", 1, "type", value="sentence_transformers.util.http_get"),
    "module that is a model": put("modules.json", 0, "type", value="sentence_transformers.SentenceTransformer"),
    "module elsewhere": put("modules.json", 1, "path", value="../../elsewhere"),
    "module at a number": put("modules.json", 1, "path", value=5),
    "arguments that are none": put("modules.json", 0, "kwargs", value=5),
    "width of billions": put("config.json", "hidden_size", value=10**12),
    "layers of text": put("config.json", "num_hidden_layers", value="x"),
    "heads below zero": put("config.json", "num_attention_heads", value=-1),
    "window below zero": put("sentence_bert_config.json", "max_seq_length", value=-1),
    "window of text": put("sentence_bert_config.json", "max_seq_length", value="x"),
    "truncated to text": put("config_sentence_transformers.json", "truncate_dim", value="x"),
    "truncated to five": put("config_sentence_transformers.json", "truncate_dim", value=5),
    "prompts that are none": put("config_sentence_transformers.json", "prompts", value=5),
    "no padding": put("tokenizer_config.json", "pad_token", value=None),
    "pooling of nothing": put("1_Pooling/config.json", "pooling_mode", value="x"),
}


@pytest.mark.parametrize("trick", MODELS.values(), ids=MODELS.keys())
def test_a_hostile_model_with_right_digests_is_refused_in_one_line(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("hybridret.persistence.load_model", load_model)
    path = Path(shutil.copytree(sound, tmp_path / "b"))
    trick(path)
    before = search(monkeypatch, sound, "bm25")
    code, out, error = run(monkeypatch, "search", str(path), "pump", "--json")
    assert (code, out) == (2, ""), error
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("hybridret: ")
    assert search(monkeypatch, path, "bm25") == before


def test_a_folder_in_a_new_files_place_fails_the_change_and_nothing_else(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copytree(sound, tmp_path / "b"))
    before = search(monkeypatch, path, "dense,bm25,docid")
    generation = state_of(path)["generation"] + 1
    (path / f"bm25.{generation}.safetensors").mkdir()
    (tmp_path / "c.jsonl").write_text('{"_id": "zebra", "text": "a zebra"}\n')
    code, _, error = run(monkeypatch, "add", str(path), str(tmp_path / "c.jsonl"))
    assert code == 2
    assert error.splitlines()[-1].startswith(f"hybridret: {path}")
    assert search(monkeypatch, path, "dense,bm25,docid") == before
    (path / f"bm25.{generation}.safetensors").rmdir()
    assert run(monkeypatch, "check", str(path))[0] == 0
