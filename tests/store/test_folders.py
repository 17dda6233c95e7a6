"""A folder takes another's place in one step, with the writers of the other one kept out."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from langchain_core.documents import Document

from hybridret import HybridRetriever
from hybridret.check import check_bundle
from hybridret.errors import BundleError
from hybridret.generation import Generation
from hybridret.store import folders
from hybridret.store.bundle import DATABASE
from hybridret.store.folders import new_folder


def whole(path: Path, content: str) -> None:
    """Fills a folder so that a mixture of two would be noticed."""
    for name in (DATABASE, "vectors.1.safetensors"):
        (path / name).write_text(content)


def contents(path: Path) -> set[str]:
    return {file.read_text() for file in path.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A bundle that shall be replaced."""
    (tmp_path / "b").mkdir()
    whole(tmp_path / "b", "old")
    return tmp_path / "b"


@pytest.fixture
def exchanging(tmp_path: Path) -> None:
    """Skips where the system cannot exchange two folders."""
    for name in "xy":
        (tmp_path / name).mkdir()
    can = folders._exchange(tmp_path / "x", tmp_path / "y")
    for name in "xy":
        (tmp_path / name).rmdir()
    if not can:
        pytest.skip("this file system exchanges no folders")


@pytest.fixture
def not_exchanging(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that cannot exchange two folders."""
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)


def test_an_exchange_swaps_two_folders(tmp_path: Path, exchanging: None) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    assert folders._exchange(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "one" / "file").read_text() == "two"
    assert (tmp_path / "two" / "file").read_text() == "one"


def test_an_exchange_with_what_is_not_there_changes_nothing(place: Path) -> None:
    assert not folders._exchange(place, place.parent / "absent")
    assert contents(place) == {"old"}
    assert [entry.name for entry in place.parent.iterdir()] == ["b"]


def test_a_system_without_the_call_is_no_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    assert not folders._exchange(place, place)


def test_the_old_bundle_is_exchanged_and_never_moved_away(
    place: Path, exchanging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = folders._exchange, []

    def exchange(one: Path, other: Path) -> bool:
        seen.append((contents(one), contents(other)))
        done = real(one, other)
        seen.append((contents(one), contents(other)))
        return done

    def rename(*_: Any) -> None:
        raise AssertionError("a folder was renamed: for a moment there is none")

    monkeypatch.setattr(folders, "_exchange", exchange)
    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, rename)
        monkeypatch.setattr(os, name, rename)
    with new_folder(place) as fresh:
        whole(fresh, "new")
    assert seen == [({"old"}, {"new"}), ({"new"}, {"old"})]
    assert contents(place) == {"new"}
    assert [entry.name for entry in place.parent.iterdir()] == ["b"]


def test_whoever_looks_while_bundles_are_replaced_always_finds_a_whole_one(place: Path, exchanging: None) -> None:
    stop, seen, faults = Event(), set[str](), []

    def look() -> None:
        while not stop.is_set():
            try:
                seen.add((place / DATABASE).read_text())
            except OSError as error:
                faults.append(error)

    watcher = Thread(target=look)
    watcher.start()
    try:
        for number in range(60):
            with new_folder(place) as fresh:
                whole(fresh, str(number))
            assert contents(place) == {str(number)}
    finally:
        stop.set()
        watcher.join()
    assert faults == []
    assert seen <= {"old", *map(str, range(60))}


@pytest.mark.usefixtures("not_exchanging")
def test_without_exchange_the_new_bundle_takes_the_place_too(place: Path) -> None:
    with new_folder(place) as fresh:
        whole(fresh, "new")
    assert contents(place) == {"new"}
    assert [entry.name for entry in place.parent.iterdir()] == ["b"]


@pytest.mark.usefixtures("not_exchanging")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_without_exchange_the_old_bundle_comes_back_where_the_new_cannot_take_its_place(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target == place and self.name != place.name:
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)

    def replace() -> None:
        with new_folder(place) as fresh:
            whole(fresh, "new")

    with pytest.raises(BundleError if isinstance(error, OSError) else KeyboardInterrupt):
        replace()
    assert contents(place) == {"old"}
    assert [entry.name for entry in place.parent.iterdir()] == ["b"]


@pytest.mark.parametrize("call", ["sync_tree", "_swap"])
def test_a_disk_that_fails_at_the_end_leaves_the_old_bundle_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, call, full)

    def replace() -> None:
        with new_folder(place) as fresh:
            whole(fresh, "new")

    with pytest.raises(BundleError, match="b cannot be written: No space left on device"):
        replace()
    assert contents(place) == {"old"}
    assert [entry.name for entry in place.parent.iterdir()] == ["b"]


def test_all_is_on_disk_before_the_exchange_and_the_exchange_before_the_end(
    place: Path, exchanging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def noted(name: str, real: Callable[..., Any], label: Callable[[Path], str]) -> None:
        monkeypatch.setattr(folders, name, lambda *paths: (steps.append(f"{name} {label(paths[0])}"), real(*paths))[1])

    noted("sync_tree", folders.sync_tree, lambda path: "fresh" if path.name.startswith(".b-") else path.name)
    noted("_exchange", folders._exchange, lambda path: path.name)
    noted("sync", folders.sync, lambda path: "parent" if path == place.parent else path.name)
    with new_folder(place) as fresh:
        whole(fresh, "new")
        steps.append("written")
    assert steps == ["written", "sync_tree fresh", "_exchange b", "sync parent"]


def test_what_is_held_is_held_while_the_folder_takes_its_place_and_no_longer(place: Path) -> None:
    steps = []

    @contextmanager
    def held() -> Iterator[None]:
        steps.append(("held", contents(place)))
        yield
        steps.append(("freed", contents(place)))

    with new_folder(place, held()) as fresh:
        whole(fresh, "new")
        steps.append(("written", contents(place)))
    assert steps == [("written", {"old"}), ("held", {"old"}), ("freed", {"new"})]


def test_where_it_cannot_be_held_the_old_bundle_stays(place: Path) -> None:
    @contextmanager
    def held() -> Iterator[None]:
        raise BundleError("another process is writing to it")
        yield

    def replace() -> None:
        with new_folder(place, held()) as fresh:
            whole(fresh, "new")

    with pytest.raises(BundleError, match="another process is writing to it"):
        replace()
    assert contents(place) == {"old"}
    assert [entry.name for entry in place.parent.iterdir()] == ["b"]


def test_others_may_look_into_a_new_bundle(place: Path) -> None:
    with new_folder(place) as fresh:
        whole(fresh, "new")
    assert place.stat().st_mode & 0o777 == 0o755


@pytest.fixture
def built(embeddings: Any, tmp_path: Path) -> Callable[[str, int], HybridRetriever]:
    """Builds a bundle under a name whose documents are called after it."""

    def build(name: str, n_documents: int) -> HybridRetriever:
        return HybridRetriever.from_texts(
            [f"text {number}" for number in range(n_documents)],
            ids=[f"{name}{number}" for number in range(n_documents)],
            path=tmp_path / name,
            embedding_model=embeddings,
            docid_levels=2,
        )

    return build


def test_a_bundle_that_a_writer_holds_longer_than_the_timeout_is_not_replaced(
    built: Callable[[str, int], HybridRetriever], embeddings: Any, tmp_path: Path
) -> None:
    built("old", 3)
    built("new", 2)
    opened = HybridRetriever.load(tmp_path / "new", embedding_model=embeddings, lock_timeout=0.0)
    holder = sqlite3.connect(tmp_path / "old" / DATABASE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BundleError, match="another process is writing to it"):
        opened.save(tmp_path / "old")
    holder.execute("ROLLBACK")
    holder.close()
    assert HybridRetriever.load(tmp_path / "old", embedding_model=embeddings).index.ids() == {"old0", "old1", "old2"}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["new", "old"]
    opened.save(tmp_path / "old")
    assert HybridRetriever.load(tmp_path / "old", embedding_model=embeddings).index.ids() == {"new0", "new1"}


def test_a_writer_in_the_midst_of_a_change_destroys_no_bundle_that_would_take_its_place(
    built: Callable[[str, int], HybridRetriever], embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.generation._COMPACT_FROM", 1)
    monkeypatch.setattr("hybridret.generation._COMPACT_SHARE", 100)
    writer = built("old", 6)
    for number in range(4):
        writer.add_documents([Document(id=f"more{number}", page_content="more")])
    built("new", 4)
    opened = HybridRetriever.load(tmp_path / "new", embedding_model=embeddings, lock_timeout=0.0)
    real, attempts = Generation.compacted, []

    def compacted(generation: Generation, *arguments: Any) -> Generation:
        monkeypatch.setattr(Generation, "compacted", real)
        with suppress(BundleError):
            opened.save(tmp_path / "old")
        attempts.append(check_bundle(tmp_path / "old").documents)
        return real(generation, *arguments)

    monkeypatch.setattr(Generation, "compacted", compacted)
    with suppress(BundleError):
        writer.delete(["old0"])
    assert len(attempts) == 1
    assert check_bundle(tmp_path / "old").faults == []
    ids = HybridRetriever.load(tmp_path / "old", embedding_model=embeddings).index.ids()
    assert len(ids) in (4, 9)


@pytest.mark.parametrize("n_kept", [0, 100, 3000, -1])
def test_a_damaged_bundle_can_be_replaced(
    built: Callable[[str, int], HybridRetriever], embeddings: Any, tmp_path: Path, n_kept: int
) -> None:
    built("old", 3)
    new = built("new", 2)
    database = tmp_path / "old" / DATABASE
    database.write_bytes(database.read_bytes()[:n_kept])
    new.save(tmp_path / "old")
    assert HybridRetriever.load(tmp_path / "old", embedding_model=embeddings).index.ids() == {"new0", "new1"}


def test_a_writer_that_comes_while_its_bundle_is_replaced_waits_and_goes_on_with_the_new_one(
    built: Callable[[str, int], HybridRetriever], embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built("old", 2)
    new = built("new", 2)
    impatient = HybridRetriever.load(tmp_path / "old", embedding_model=embeddings, lock_timeout=0.0)
    real, messages = folders._swap, []

    def swap(one: Path, other: Path) -> None:
        with pytest.raises(BundleError) as caught:
            impatient.delete(["old0"])
        messages.append(str(caught.value))
        real(one, other)

    monkeypatch.setattr(folders, "_swap", swap)
    new.save(tmp_path / "old")
    assert len(messages) == 1
    assert "another process is writing to it" in messages[0]
    assert impatient.delete(["old0"])["num_deleted"] == 0
    assert impatient.delete(["new0"])["num_deleted"] == 1
    assert HybridRetriever.load(tmp_path / "old", embedding_model=embeddings).index.ids() == {"new1"}
