"""Damage is found, named, and repaired where the rest tells what was there."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from hybridret import HybridRetriever
from hybridret.check import check_bundle, repair_bundle
from hybridret.decoding import Trie
from hybridret.errors import BundleError
from hybridret.store import Bundle, DocumentStore, State
from hybridret.store.bundle import write_arrays
from hybridret.store.seal import seal_file


@pytest.fixture
def bundle(tiny_model: Path, tmp_path: Path) -> Path:
    made = HybridRetriever.from_texts(
        [f"text {number} of {number % 5} pumps" for number in range(40)],
        [{"n": number} for number in range(40)],
        [f"d{number}" for number in range(40)],
        path=tmp_path / "b",
        embedding_model=str(tiny_model),
        docid_levels=2,
    )
    made.add_documents([Document(id="new", page_content="a new valve")])
    made.delete(["d7"])
    return tmp_path / "b"


def flipped(path: Path, rng: random.Random) -> bytes:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def test_a_flipped_bit_is_found_in_every_file_and_the_file_named(bundle: Path) -> None:
    assert check_bundle(bundle) == (40, [], [])
    rng = random.Random(0)
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    assert {path.name.partition(".")[0] for path in files} >= {"vectors", "bm25", "docid", "codebooks", "trie", "model"}
    for path in files:
        content = path.read_bytes()
        for _ in range(8):
            path.write_bytes(flipped(path, rng))
            faults = check_bundle(bundle).faults
            assert faults, path
            assert path.name in faults[0].message
        path.write_bytes(content)
    assert check_bundle(bundle).faults == []


def answers(bundle: Path) -> list[Any]:
    opened = HybridRetriever.load(bundle)
    return [opened.search(["new pumps valve"], 50, retrievers=[name])[0] for name in ("bm25", "docid", "dense")]


@pytest.mark.parametrize("parts", [["bm25"], ["trie"], ["seal"], ["bm25", "trie", "seal"]])
def test_what_is_derived_is_rebuilt_to_the_bit(bundle: Path, parts: list[str]) -> None:
    before, rng = answers(bundle), random.Random(1)
    for part in parts:
        path = max(bundle.glob(f"*.{part}" if part == "seal" else f"{part}.*"), key=lambda one: one.stat().st_size)
        path.write_bytes(flipped(path, rng))
    assert {fault.part for fault in check_bundle(bundle).faults} == set(parts)
    assert all(fault.is_repairable for fault in check_bundle(bundle).faults)
    assert repair_bundle(bundle) == sorted(parts)
    assert check_bundle(bundle) == (40, [], [])
    assert answers(bundle) == before
    HybridRetriever.load(bundle).add_documents([Document(id="newer", page_content="a newer valve")])
    assert check_bundle(bundle) == (41, [], [])


def test_a_missing_derived_file_is_rebuilt_too(bundle: Path) -> None:
    before = answers(bundle)
    for path in bundle.glob("bm25.*"):
        path.unlink()
    assert repair_bundle(bundle) == ["bm25"]
    assert answers(bundle) == before


@pytest.mark.parametrize("part", ["vectors", "codebooks", "docid", "model"])
def test_what_cannot_be_rebuilt_is_said_and_left_alone(bundle: Path, part: str) -> None:
    path = bundle / "dense" / "model.safetensors" if part == "model" else next(bundle.glob(f"{part}.*"))
    path.write_bytes(flipped(path, random.Random(2)))
    content = path.read_bytes()
    assert repair_bundle(bundle) == []
    (fault,) = check_bundle(bundle).faults
    assert (fault.part, fault.is_repairable, path.read_bytes()) == (part, False, content)


def test_a_docid_that_is_not_its_vectors_is_found_though_all_checksums_are_right(bundle: Path) -> None:
    store = DocumentStore.open(bundle / "hybridret.sqlite")
    state = store.state
    name, _, _, rows = state["files"]["docid"][0]
    reader = HybridRetriever.load(bundle).index._changes
    assert reader.bundle is not None
    arrays = reader.bundle.read(reader.state.files["docid"][0])
    codes = arrays["codes"].copy()
    codes[3, 1] = (codes[3, 1] + 1) % (codes.max() + 1)
    (bundle / name).unlink()
    generation = int(name.split(".")[1])
    written = write_arrays(bundle, "docid", generation, {**arrays, "codes": codes}, rows)
    state["files"]["docid"][0] = list(written)
    store.state = state
    store.close()
    messages = [fault.message for fault in check_bundle(bundle).faults]
    assert [
        message for message in messages if "do not fit together" in message or "not those of their vectors" in message
    ]


def test_leftovers_are_told_apart_from_faults(bundle: Path) -> None:
    write_arrays(bundle, "vectors", 99, {"vectors": np.zeros((1, 2))}, 1)
    assert check_bundle(bundle) == (40, [], ["vectors.99.safetensors"])


def test_the_commands_change_check_repair_and_compact(
    bundle: Path, tmp_path: Path, run_cli: Callable[..., Any], write_jsonl: Callable[..., Path]
) -> None:
    corpus = write_jsonl(tmp_path / "more.jsonl", {"_id": "x1", "text": "zebra"}, {"_id": "d1", "text": "yak"})
    refused = run_cli("add", bundle, corpus)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "'d1' is in the index already" in refused.stderr
    added = run_cli("add", bundle, corpus, "--upsert")
    assert (added.returncode, added.stdout.strip()) == (0, f"2 documents added, 41 in {bundle}")
    deleted = run_cli("delete", bundle, "x1", "nobody")
    assert (deleted.returncode, deleted.stdout.strip()) == (0, f"1 documents deleted, 40 in {bundle}")
    assert deleted.stderr.strip() == "not present: nobody"
    compacted = run_cli("compact", bundle)
    assert (compacted.returncode, compacted.stdout.strip()) == (0, f"40 documents in {bundle}, none deleted")
    sound = run_cli("check", bundle, "--json")
    assert json.loads(sound.stdout) == {"documents": 40, "faults": [], "rebuilt": [], "leftovers": []}
    (postings,) = bundle.glob("bm25.*")
    postings.write_bytes(flipped(postings, random.Random(3)))
    damaged = run_cli("check", bundle)
    assert damaged.returncode == 2
    assert postings.name in damaged.stdout
    assert "--repair rebuilds it" in damaged.stdout
    assert len(damaged.stderr.splitlines()) == 1
    repaired = run_cli("check", bundle, "--repair", "--json")
    assert (repaired.returncode, json.loads(repaired.stdout)["rebuilt"]) == (0, ["bm25"])
    shutil.rmtree(bundle)
    assert run_cli("check", bundle).returncode == 2


def rewritten(bundle: Path, change: Callable[[dict[str, dict[str, Any]]], None]) -> None:
    """Writes the arrays of a compact bundle anew after a change of them, with checksums and a seal that are right."""
    store = DocumentStore.open(bundle / "hybridret.sqlite")
    state = State.from_json(store.state, "x")
    assert all(len(files) == 1 for files in state.files.values())
    arrays = {part: Bundle(bundle).read(files[0]) for part, files in state.files.items()}
    change(arrays)
    files = {}
    for part, (file,) in state.files.items():
        (bundle / file.name).unlink()
        files[part] = [write_arrays(bundle, part, int(file.name.split(".")[1]), arrays[part], file.rows)]
    store.state = replace(state, files=files).as_json()
    store.close()
    seal_file(bundle, bundle / "hybridret.sqlite")


@pytest.fixture
def compact(bundle: Path) -> Path:
    HybridRetriever.load(bundle).index.compact()
    return bundle


def test_rewriting_arrays_unchanged_is_no_fault(compact: Path) -> None:
    rewritten(compact, lambda arrays: None)
    assert check_bundle(compact) == (40, [], [])


@pytest.mark.parametrize("level", [0, 1])
def test_one_wrong_code_is_found_and_its_document_named_where_everything_else_fits(compact: Path, level: int) -> None:
    def change(arrays: dict[str, dict[str, Any]]) -> None:
        codes = arrays["docid"]["codes"].copy()
        codes[5, level] = (codes[5, level] + 1) % arrays["codebooks"]["codebooks"].shape[1]
        arrays["docid"]["codes"] = codes
        arrays["docid"]["suffixes"] = np.arange(len(codes), dtype=np.int32)
        arrays["trie"] = Trie(codes, arrays["docid"]["suffixes"]).stored._asdict()

    rewritten(compact, change)
    sixth = HybridRetriever.load(compact).index._changes.generation.ids[5]
    (fault,) = check_bundle(compact).faults
    assert (fault.part, fault.is_repairable) == ("docid", False)
    assert fault.message == f"{compact}: 1 docids are not those of their vectors, such as {sixth!r}'s"
    assert repair_bundle(compact) == []


def test_a_vector_that_is_not_the_one_that_was_coded_is_found(compact: Path) -> None:
    def change(arrays: dict[str, dict[str, Any]]) -> None:
        arrays["vectors"]["vectors"] = arrays["vectors"]["vectors"][::-1].copy()

    rewritten(compact, change)
    (fault,) = check_bundle(compact).faults
    assert fault.part == "docid"
    assert "are not those of their vectors" in fault.message


def test_a_trie_of_other_docids_is_found_though_its_checksum_is_right(compact: Path) -> None:
    def change(arrays: dict[str, dict[str, Any]]) -> None:
        arrays["trie"]["order"] = arrays["trie"]["order"][::-1].copy()

    rewritten(compact, change)
    (fault,) = check_bundle(compact).faults
    assert "its parts do not fit together" in fault.message


def test_checking_changes_nothing(bundle: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in bundle.rglob("*") if path.is_file()}
    check_bundle(bundle)
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in bundle.rglob("*") if path.is_file()
    } == before


@pytest.mark.parametrize("change", ["gone", "more", "renamed"])
def test_a_model_with_other_files_is_a_fault_that_names_each(bundle: Path, change: str) -> None:
    path = bundle / "dense" / "config.json"
    if change == "more":
        (bundle / "dense" / "more.json").write_text("{}")
    elif change == "gone":
        path.unlink()
    else:
        path.rename(path.with_name("more.json"))
    named = {"gone": ["config.json"], "more": ["more.json"], "renamed": ["config.json", "more.json"]}[change]
    faults = check_bundle(bundle).faults
    assert [fault.part for fault in faults] == ["model"] * len(named)
    assert [fault.message.partition(" is damaged")[0] for fault in faults] == [
        str(bundle / "dense" / name) for name in named
    ]
    assert repair_bundle(bundle) == []


def test_a_model_folder_that_is_gone_is_a_fault_for_each_of_its_files(bundle: Path) -> None:
    n_files = sum(path.is_file() for path in (bundle / "dense").rglob("*"))
    shutil.rmtree(bundle / "dense")
    faults = check_bundle(bundle).faults
    assert {fault.part for fault in faults} == {"model"}
    assert len(faults) == n_files > 3


def test_a_bundle_without_a_model_of_its_own_is_sound(embeddings: Any, tmp_path: Path) -> None:
    HybridRetriever.from_texts(["a", "b"], path=tmp_path / "b", embedding_model=embeddings)
    assert check_bundle(tmp_path / "b") == (2, [], [])
    (tmp_path / "b" / "dense").mkdir()
    (tmp_path / "b" / "dense" / "modules.json").write_text("[]")
    assert [fault.part for fault in check_bundle(tmp_path / "b").faults] == ["model"]


def test_an_empty_bundle_is_sound(embeddings: Any, tmp_path: Path) -> None:
    HybridRetriever.from_texts([], path=tmp_path / "b", embedding_model=embeddings)
    assert check_bundle(tmp_path / "b") == (0, [], [])
    assert repair_bundle(tmp_path / "b") == []


@pytest.mark.parametrize(
    ("damaged", "rebuilt"),
    [
        ({"bm25", "vectors"}, []),
        ({"trie", "docid"}, []),
        ({"trie", "codebooks"}, []),
        ({"bm25", "docid"}, ["bm25"]),
        ({"trie", "vectors"}, ["trie"]),
        ({"bm25", "trie", "model"}, ["bm25", "trie"]),
    ],
)
def test_a_part_is_rebuilt_only_where_what_it_comes_from_is_sound(
    bundle: Path, damaged: set[str], rebuilt: list[str]
) -> None:
    rng, contents = random.Random(4), {}
    for part in sorted(damaged):
        path = bundle / "dense" / "model.safetensors" if part == "model" else next(bundle.glob(f"{part}.*"))
        path.write_bytes(flipped(path, rng))
        contents[part] = (path, path.read_bytes())
    assert repair_bundle(bundle) == rebuilt
    assert {fault.part for fault in check_bundle(bundle).faults} == damaged - set(rebuilt)
    for part in damaged - set(rebuilt):
        path, content = contents[part]
        assert path.read_bytes() == content


def test_a_damaged_document_stops_every_repair(bundle: Path) -> None:
    store = DocumentStore.open(bundle / "hybridret.sqlite")
    with store.reading() as connection:
        connection.execute("UPDATE documents SET text = 'other' WHERE id = 'd3'")
    store.close()
    for path in bundle.glob("bm25.*"):
        path.write_bytes(flipped(path, random.Random(5)))
    assert repair_bundle(bundle) == []
    faults = check_bundle(bundle).faults
    assert {fault.part for fault in faults} == {"documents", "bm25"}
    assert any("document 'd3'" in fault.message for fault in faults)


def test_a_database_that_is_none_is_one_fault_and_no_bundle_an_error(bundle: Path, tmp_path: Path) -> None:
    (bundle / "hybridret.sqlite").write_bytes(b"no database " * 1000)
    (fault,) = check_bundle(bundle).faults
    assert fault.part == "documents"
    assert "hybridret.sqlite" in fault.message
    assert repair_bundle(bundle) == []
    for call in (check_bundle, repair_bundle):
        with pytest.raises(BundleError, match="is not a hybridret bundle"):
            call(tmp_path / "absent")


def test_who_has_a_bundle_open_goes_on_after_its_repair(bundle: Path) -> None:
    opened = HybridRetriever.load(bundle)
    before = [opened.search(["new pumps valve"], 50, retrievers=[name])[0] for name in ("bm25", "docid", "dense")]
    for part in ("bm25", "trie"):
        for path in bundle.glob(f"{part}.*"):
            path.write_bytes(flipped(path, random.Random(6)))
    assert repair_bundle(bundle) == ["bm25", "trie"]
    after = [opened.search(["new pumps valve"], 50, retrievers=[name])[0] for name in ("bm25", "docid", "dense")]
    assert after == before
    opened.add_documents([Document(id="newer", page_content="a newer pump")])
    opened.delete(["d1"])
    assert check_bundle(bundle) == (40, [], [])
    assert {hit.doc_id for hit in HybridRetriever.load(bundle).search(["pumps"], 50)[0]} == opened.index.ids()


def test_a_repair_is_a_change_that_another_writer_keeps_out(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in bundle.glob("bm25.*"):
        path.write_bytes(flipped(path, random.Random(7)))
    before = sorted(path.name for path in bundle.iterdir())
    real = DocumentStore.open
    monkeypatch.setattr(DocumentStore, "open", lambda file, timeout=0.0: real(file, 0.0))
    holder = sqlite3.connect(bundle / "hybridret.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BundleError, match="another process is writing to it"):
        repair_bundle(bundle)
    holder.execute("ROLLBACK")
    holder.close()
    assert sorted(path.name for path in bundle.iterdir()) == before
    assert repair_bundle(bundle) == ["bm25"]


def test_rebuilt_postings_score_as_before_also_where_deleted_texts_had_words_of_their_own(
    embeddings: Any, tmp_path: Path
) -> None:
    rng, query = random.Random(8), ["common pump w1 w2 w3"]
    texts = [f"common pump {' '.join(f'w{int(rng.paretovariate(0.7))}' for _ in range(6))} own{n}" for n in range(24)]
    made = HybridRetriever.from_texts(
        texts[:20], ids=[f"d{n}" for n in range(20)], path=tmp_path / "b", embedding_model=embeddings, docid_levels=2
    )
    made.delete(["d0", "d1", "d7"])
    made.add_documents([Document(id=f"d{n}", page_content=texts[n]) for n in range(20, 24)])
    before = {hit.doc_id: hit.score for hit in made.search(query, 50, retrievers=["bm25"])[0]}
    for path in (tmp_path / "b").glob("bm25.*"):
        path.write_bytes(flipped(path, rng))
    assert repair_bundle(tmp_path / "b") == ["bm25"]
    opened = HybridRetriever.load(tmp_path / "b", embedding_model=embeddings)
    after = {hit.doc_id: hit.score for hit in opened.search(query, 50, retrievers=["bm25"])[0]}
    assert after == pytest.approx(before, abs=1e-12, rel=1e-12)
    assert len(after) == 21
