"""Damage is found, named, and repaired where the rest tells what was there."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from hybridret import HybridRetriever
from hybridret.check import check_bundle, repair_bundle
from hybridret.store import DocumentStore
from hybridret.store.bundle import write_arrays


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
