"""The seal of the database: it finds any changed byte, holds for one state, and is whole or not there."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridret import HybridRetriever
from hybridret.errors import BundleError
from hybridret.store import Bundle, DocumentStore
from hybridret.store.bundle import DATABASE
from hybridret.store.seal import SEAL, break_seal, broken_seal, seal_file, seal_store
from hybridret.types import Document

COUNTER = range(24, 28)


@pytest.fixture
def folder(embeddings: Any, tmp_path: Path) -> Path:
    """A bundle of eight documents, with free pages and deleted rows in its database."""
    path = tmp_path / "b"
    made = HybridRetriever.from_texts(
        [f"text {number} " * 300 for number in range(8)],
        ids=[f"d{number}" for number in range(8)],
        path=path,
        embedding_model=embeddings,
        docid_levels=2,
    )
    made.delete(["d3", "d4"])
    return path


def image(folder: Path) -> bytes:
    return (folder / DATABASE).read_bytes()


def seal_of(folder: Path) -> bytes | None:
    return (folder / SEAL).read_bytes() if (folder / SEAL).exists() else None


def test_the_image_of_an_open_database_is_its_file(folder: Path) -> None:
    store = DocumentStore.open(folder / DATABASE)
    assert store.image() == image(folder)
    store.close()


def test_a_sound_database_has_a_seal_that_holds(folder: Path) -> None:
    assert seal_of(folder) is not None
    assert broken_seal(folder, image(folder)) is None


def test_any_flipped_bit_of_the_database_breaks_the_seal(folder: Path) -> None:
    rng, sound = random.Random(0), image(folder)
    free = sound.count(b"\0" * 64)
    assert free, "no part of the file is unused"
    places = [*range(100), len(sound) - 1, *(rng.randrange(len(sound)) for _ in range(1500))]
    for at in places:
        damaged = bytearray(sound)
        damaged[at] ^= 1 << rng.randrange(8)
        fault = broken_seal(folder, bytes(damaged))
        assert fault == ("its change counter is wrong" if at in COUNTER or 92 <= at < 96 else "its checksum is wrong")


def test_any_flipped_bit_of_the_seal_is_found_and_named(folder: Path) -> None:
    sound = seal_of(folder)
    assert sound is not None
    for at in range(len(sound)):
        for bit in range(8):
            damaged = bytearray(sound)
            damaged[at] ^= 1 << bit
            (folder / SEAL).write_bytes(damaged)
            with pytest.raises(BundleError, match=r"hybridret\.sqlite\.seal is damaged: "):
                broken_seal(folder, image(folder))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[", b"null", b"5", b"{}", b"[1, 2]", b"[1, 2, 3, 4]", b"[null, null, null]", b'["", "", ""]'),
        *(b"\xff\xfe", b"[" * 100_000, b'{"a": 1, "b": 2, "c": 3}'),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_seal_that_is_none_is_named(folder: Path, content: bytes) -> None:
    (folder / SEAL).write_bytes(content)
    with pytest.raises(BundleError, match=r"hybridret\.sqlite\.seal is damaged: "):
        broken_seal(folder, image(folder))


def test_a_truncated_or_longer_seal_is_named(folder: Path) -> None:
    sound = seal_of(folder)
    assert sound is not None
    for content in (*(sound[:end] for end in range(len(sound))), sound + b" ", b" " + sound, sound * 2):
        (folder / SEAL).write_bytes(content)
        with pytest.raises(BundleError, match="is damaged"):
            broken_seal(folder, image(folder))


def test_a_folder_in_the_seals_place_is_named(folder: Path) -> None:
    (folder / SEAL).unlink()
    (folder / SEAL).mkdir()
    with pytest.raises(BundleError, match="is damaged"):
        broken_seal(folder, image(folder))


def test_a_seal_of_an_earlier_state_says_nothing(folder: Path) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute("UPDATE documents SET cut = 1 WHERE id = 'd0'")
    connection.commit()
    connection.close()
    later = image(folder)
    assert broken_seal(folder, later) is None
    seal_file(folder, folder / DATABASE)
    assert broken_seal(folder, later) is None
    assert broken_seal(folder, later[:-1] + bytes([later[-1] ^ 1])) == "its checksum is wrong"


def test_where_there_is_no_seal_or_no_image_nothing_is_said(folder: Path) -> None:
    assert broken_seal(folder, None) is None
    (folder / SEAL).unlink()
    assert broken_seal(folder, image(folder)[:-1] + b"x") is None


def test_opening_a_bundle_tells_a_broken_seal(folder: Path, embeddings: Any) -> None:
    content = bytearray(image(folder))
    at = bytes(content).index(b"\0" * 64) + 32
    content[at] ^= 1
    (folder / DATABASE).write_bytes(content)
    with pytest.raises(BundleError, match=r"hybridret\.sqlite is damaged: its checksum is wrong"):
        HybridRetriever.load(folder, embedding_model=embeddings)


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.add([Document("new", "a new one", {})]),
        lambda index: index.add([Document("d0", "another", {})], replace=True),
        lambda index: index.delete(["d0", "d1"]),
        lambda index: index.compact(),
    ],
    ids=["add", "upsert", "delete", "compact"],
)
def test_every_change_leaves_the_seal_of_its_own_state(
    folder: Path, embeddings: Any, change: Callable[[Any], Any]
) -> None:
    index = HybridRetriever.load(folder, embedding_model=embeddings).index
    before = seal_of(folder)
    change(index)
    sealed = seal_of(folder)
    assert sealed is not None
    assert sealed != before
    seal_file(folder, folder / DATABASE)
    assert seal_of(folder) == sealed


def test_a_change_breaks_the_seal_before_it_writes(
    folder: Path, embeddings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, seals = HybridRetriever.load(folder, embedding_model=embeddings).index, []
    for name in ("delete", "insert"):
        real = getattr(DocumentStore, name)
        monkeypatch.setattr(
            DocumentStore, name, lambda *arguments, real=real: (seals.append(seal_of(folder)), real(*arguments))[1]
        )
    index.add([Document("d0", "another", {})], replace=True)
    assert seals == [None, None]
    assert seal_of(folder) is not None


def test_a_change_that_fails_leaves_a_seal_that_holds(
    folder: Path, embeddings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = HybridRetriever.load(folder, embedding_model=embeddings).index

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hybridret.store.bundle.os.fsync", full)
    with pytest.raises(BundleError):
        index.add([Document("new", "a new one " * 500, {})])
    monkeypatch.undo()
    assert broken_seal(folder, image(folder)) is None
    index.delete(["d0"])
    assert seal_of(folder) is not None
    assert broken_seal(folder, image(folder)) is None


def test_breaking_a_seal_twice_is_no_error(folder: Path) -> None:
    for _ in range(2):
        break_seal(folder)
        assert seal_of(folder) is None


def test_a_seal_that_cannot_be_broken_is_said(folder: Path) -> None:
    (folder / SEAL).unlink()
    (folder / SEAL).mkdir()
    with pytest.raises(BundleError, match="cannot be written"):
        break_seal(folder)


def test_a_database_that_another_process_changes_is_not_sealed_nor_waited_for(folder: Path) -> None:
    break_seal(folder)
    store = DocumentStore.open(folder / DATABASE)
    holder = sqlite3.connect(folder / DATABASE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    seal_store(Bundle(folder), store)
    assert seal_of(folder) is None
    holder.execute("ROLLBACK")
    holder.close()
    seal_store(Bundle(folder), store)
    assert seal_of(folder) is not None
    store.close()


def test_a_replaced_bundle_does_not_seal_the_one_in_its_place(folder: Path, embeddings: Any) -> None:
    bundle, store = Bundle(folder), DocumentStore.open(folder / DATABASE)
    HybridRetriever.from_texts(["new"], ids=["new"], path=folder, embedding_model=embeddings)
    before = seal_of(folder)
    seal_store(bundle, store)
    assert seal_of(folder) == before
    store.close()


def test_a_large_database_is_sealed_when_it_is_written_whole_and_not_by_each_change(
    folder: Path, embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.store.seal.SEALED_UP_TO", 1000)
    index = HybridRetriever.load(folder, embedding_model=embeddings).index
    index.delete(["d0"])
    assert seal_of(folder) is None
    index.save(tmp_path / "copy")
    assert seal_of(tmp_path / "copy") is not None
    assert broken_seal(tmp_path / "copy", image(tmp_path / "copy")) is None


@pytest.fixture(params=["open", "fsync", "rename"])
def full_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A disk that is full at one step of writing a seal, until the patch is undone."""

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    owner, name = {"open": (Path, "open"), "fsync": (os, "fsync"), "rename": (Path, "replace")}[request.param]
    monkeypatch.setattr(owner, name, full)
    return monkeypatch


def test_a_seal_that_cannot_be_written_leaves_none_and_nothing_else(
    folder: Path, embeddings: Any, full_disk: pytest.MonkeyPatch
) -> None:
    break_seal(folder)
    before = sorted(folder.iterdir())
    store = DocumentStore.open(folder / DATABASE)
    seal_store(Bundle(folder), store)
    store.close()
    full_disk.undo()
    assert sorted(folder.iterdir()) == before
    HybridRetriever.load(folder, embedding_model=embeddings).delete(["d1"])
    assert seal_of(folder) is not None
    assert broken_seal(folder, image(folder)) is None


def test_a_change_whose_seal_cannot_be_written_is_a_change(
    folder: Path, embeddings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = HybridRetriever.load(folder, embedding_model=embeddings).index

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert index.delete(["d0"]) == ["d0"]
    assert seal_of(folder) is None
    assert "d0" not in HybridRetriever.load(folder, embedding_model=embeddings).index.ids()
