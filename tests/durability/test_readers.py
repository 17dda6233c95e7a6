"""Processes that read while another writes see one generation at a time; writers take turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from changing import apply, encoder, look
from reading import COMMITS, change, first_documents, generations

from hybridret.config import Config
from hybridret.errors import BundleError
from hybridret.hybrid import HybridIndex
from hybridret.store.bundle import DATABASE
from hybridret.types import Document

READERS, BURST, ADDED, SECONDS = 4, 20, 40, 240
Process = subprocess.Popen[str]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    HybridIndex.build(first_documents(), encoder(), Config(docid_levels=3), tmp_path / "b")
    return tmp_path / "b"


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., Process]]:
    """Starts ``reading.py``; what still runs at the end, or hangs, is killed."""
    with ExitStack() as stack:

        def started(*arguments: Any) -> Process:
            command = [sys.executable, str(Path(__file__).with_name("reading.py")), *map(str, arguments)]
            process = subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, env=environment)
            stack.enter_context(process)
            stack.callback(process.kill)
            watchdog = Timer(SECONDS, process.kill)
            watchdog.start()
            stack.callback(watchdog.cancel)
            return process

        yield started


def heard(process: Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline().strip()
    if not line:
        pytest.fail(f"a process ended: {process.stderr.read()}")
    return line


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()


def assert_ends(process: Process) -> None:
    assert process.stderr is not None
    error = process.stderr.read()
    assert process.wait() == 0, error


@pytest.mark.slow
def test_readers_without_pause_see_one_generation_at_a_time(bundle: Path, start: Callable[..., Process]) -> None:
    """What a reader checks of each answer stands in ``reading.read``; it says which generation it has come to.

    After each burst of commits all readers come to its end before the next begins, so that none sleeps through.
    """
    states = generations()
    bystander, writer = HybridIndex.open(bundle, encoder()), HybridIndex.open(bundle, encoder())
    readers = [start("read", bundle) for _ in range(READERS)]
    for number in range(1, COMMITS + 1):
        apply(writer, change(number))
        if number % BURST == 0:
            for reader in readers:
                while (seen := int(heard(reader))) < number:
                    pass
                assert seen == number
    for reader in readers:
        _, n_answers, _, n_generations = heard(reader).split()
        assert int(n_answers) > int(n_generations) > COMMITS // BURST
        assert_ends(reader)
    assert len(bystander) == len(first_documents()) != len(states[-1])
    bystander.refresh()
    assert len(bystander) == len(states[-1])
    assert look(bundle) == states[-1]


def test_writers_wait_for_each_other_and_lose_nothing(bundle: Path, start: Callable[..., Process]) -> None:
    before = look(bundle)
    holder = start("hold", bundle)
    assert heard(holder) == "held"
    writers = [start("add", bundle, name, ADDED) for name in "ab"]
    assert [heard(writer) for writer in writers] == ["begins", "begins"]
    assert look(bundle) == before
    tell(holder)
    assert_ends(holder)
    for writer in writers:
        assert_ends(writer)
    after = look(bundle)
    assert after.keys() - before.keys() == {f"{name}{number}" for name in "ab" for number in range(ADDED)}
    assert before.items() <= after.items()


def test_a_writer_that_waits_too_long_is_told(bundle: Path, start: Callable[..., Process]) -> None:
    before = look(bundle)
    index = HybridIndex.open(bundle, encoder(), lock_timeout=0.2)
    holder = start("hold", bundle)
    assert heard(holder) == "held"
    calls: list[Callable[[], Any]] = [
        lambda: index.add([Document("new", "x", {})]),
        lambda: index.add([Document("o1", "x", {})], replace=True),
        lambda: index.delete(["o1"]),
        index.compact,
    ]
    for call in calls:
        with pytest.raises(BundleError, match="another process is writing to it"):
            call()
    assert len(index.search(["valve"], 100)[0]) == len(before)
    tell(holder)
    assert_ends(holder)
    assert look(bundle) == before
    assert index.delete(["o1"]) == ["o1"]
    assert look(bundle).keys() == before.keys() - {"o1"}


def test_a_bundle_that_another_lets_grow_while_it_is_opened_is_not_called_damaged(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever somebody looks at the database file, a writer tries to let it grow before the look."""
    before, real = look(bundle), Path.stat
    writer = HybridIndex.open(bundle, encoder(), lock_timeout=0.0)
    waiting, refused = [Document(f"grown{number}", "water " * 5000, {}) for number in range(30)], 0

    def stat(path: Path, **options: Any) -> Any:
        nonlocal refused
        if path.name == DATABASE:
            monkeypatch.setattr(Path, "stat", real)
            try:
                writer.add([waiting[-1]])
                waiting.pop()
            except BundleError:
                refused += 1
            monkeypatch.setattr(Path, "stat", stat)
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert len(HybridIndex.open(bundle, encoder())) >= len(before)
    monkeypatch.setattr(Path, "stat", real)
    assert look(bundle).keys() == before.keys() | {f"grown{number}" for number in range(len(waiting), 30)}
    assert refused > 0
