"""Writers that are killed at any moment leave the state before or after their change."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from changing import Change, apply, build, changed, encoder, history, look

from hybridret.check import check_bundle
from hybridret.hybrid import HybridIndex
from hybridret.store import Bundle, DocumentStore, State
from hybridret.store.bundle import DATABASE, names_of
from hybridret.store.seal import SEAL

KILLS = int(os.environ.get("HYBRIDRET_KILLS", "30"))
JOURNAL = DATABASE + "-journal"
MOST_CALLS, MOST_WRITES, MOST_CHANGES = 20_000, 300, 6
"""Within which of them a writer is killed at random."""
FEWEST_WRITES = 20
SEED = 7


class Task(NamedTuple):
    """What ``writing.write_until_killed`` is asked."""

    folder: str
    seed: int
    first: int
    has_small_limits: bool
    way: str
    n: int = 0


class Written(NamedTuple):
    """What a killed writer said: how many changes were acknowledged, and whether it was in the next one."""

    n_done: int
    is_in_change: bool


@pytest.fixture
def server(tmp_path: Path, library: Path | None, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    watched = {} if library is None else {"LD_PRELOAD": str(library), "RECORD_DIR": str(tmp_path)}
    command = [sys.executable, str(Path(__file__).with_name("writing.py")), "serve"]
    with (
        (tmp_path / "stderr").open("w") as stderr,
        subprocess.Popen(
            command, stdin=-1, stdout=-1, stderr=stderr, text=True, bufsize=1, env=environment | watched
        ) as process,
    ):
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.slow
def test_a_killed_writer_leaves_the_state_before_or_after_and_loses_nothing_acknowledged(
    server: subprocess.Popen[str], library: Path | None, tmp_path: Path
) -> None:
    """Kills 30 writers, or $HYBRIDRET_KILLS, each of which goes on from what the last one left.

    They die in turn at a random write, flush or other change of the file system (where there is a C compiler), at a
    random call from Python into C, at a random time, and shortly after SQLite's journal was seen.
    """
    folder, rng, contents = tmp_path / "bundle", random.Random(SEED), build(tmp_path / "bundle", SEED)
    ways = ["write", "call", "time", "write", "journal"] if library is not None else ["call", "time", "journal"]
    cut, kept, n_changes, n_rolled_back = Counter[str](), Counter[str](), 0, 0
    for number in range(KILLS):
        way, seed = ways[number % len(ways)], rng.randrange(2**32)
        n = rng.randint(1, MOST_CALLS if way == "call" else MOST_WRITES)
        written = killed(server, Task(str(folder), seed, n_changes, rng.random() < 0.5, way, n), rng)
        n_rolled_back += (folder / JOURNAL).exists()
        steps = list(islice(history(contents, seed, n_changes), written.n_done + 1))
        states = [contents, *(after for _, after in steps)][written.n_done :]
        found = look(folder)
        assert found in states[: 1 + written.is_in_change], (number, way, steps[-1][0].kind, written)
        if written.is_in_change:
            cut[steps[-1][0].kind] += 1
            kept[steps[-1][0].kind] += found != states[0]
        contents, n_changes = found, n_changes + written.n_done + 1
    index = HybridIndex.open(folder, encoder())
    for change, after in islice(history(contents, SEED, n_changes), 2):
        apply(index, change)
        contents = after
    assert look(folder) == contents
    assert check_bundle(folder).leftovers == []
    assert {path.name for path in folder.iterdir()} == {DATABASE, SEAL, *named_files(folder)}
    summary = {"kills": KILLS, "in_a_change": cut, "of_these_kept": kept, "rolled_back": n_rolled_back}
    print(json.dumps(summary | {"changes": n_changes, "documents": len(contents)}))
    assert sum(cut.values()) >= KILLS // 2
    assert len(cut) >= 3
    assert n_rolled_back > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["add", "upsert", "delete", "compact"])
def test_a_writer_killed_at_any_of_its_writes_leaves_the_state_before_or_after(
    server: subprocess.Popen[str], recorder: Path, tmp_path: Path, kind: str
) -> None:
    """One change of each kind is cut short at every write, flush and change of a folder that it consists of.

    Documents were deleted before, so that the database has free pages, which SQLite does not put back.
    """
    base, rng = tmp_path / "base", random.Random(SEED)
    contents = build(base, SEED)
    deleted = Change("delete", [contents[doc_id] for doc_id in rng.sample(sorted(contents), 20)])
    apply(HybridIndex.open(base, encoder()), deleted)
    contents = changed(contents, deleted)
    seed = next(seed for seed in count() if next(history(contents, seed))[0].kind == kind)
    _, after = next(history(contents, seed))
    for n in count(1):
        folder = Path(shutil.copytree(base, tmp_path / f"{kind}{n}"))
        written = killed(server, Task(str(folder), seed, 0, False, "write", n), rng)
        if written.n_done:
            break
        assert look(folder) in (contents, after), n
        shutil.rmtree(folder)
    assert n > FEWEST_WRITES


def killed(server: subprocess.Popen[str], task: Task, rng: random.Random) -> Written:
    """Has a writer started and killed."""
    assert server.stdin is not None
    assert server.stdout is not None
    folder, way = Path(task.folder), task.way
    server.stdin.write(json.dumps(task._asdict()) + "\n")
    said = Counter[str]()
    writer = int(heard(server.stdout, "writer"))
    if way in ("time", "journal"):
        n_begun = rng.randint(1, MOST_CHANGES)
        while said["begins"] < n_begun:
            said[heard(server.stdout)] += 1
        if way == "journal":
            wait(folder / JOURNAL, 1.0)
        wait(None, rng.random() * (0.002 if way == "journal" else 0.03))
        os.kill(writer, signal.SIGKILL)
    while not (line := heard(server.stdout)).startswith("ended"):
        said[line] += 1
    assert line == f"ended {int(signal.SIGKILL)}", (folder.parent / "stderr").read_text()
    return Written(said["done"], said["begins"] > said["done"])


def heard(stdout: IO[str], after: str = "") -> str:
    line = stdout.readline()
    assert line.startswith(after)
    assert line.endswith("\n"), "the server of writers ended"
    return line[len(after) :].strip()


def wait(path: Path | None, seconds: float) -> None:
    """Waits, without giving up the processor, at most until a path is there."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until and not (path is not None and path.exists()):
        pass


def named_files(folder: Path) -> set[str]:
    store = DocumentStore.open(Bundle(folder).database)
    try:
        return set(names_of(State.from_json(store.state, str(folder)).files))
    finally:
        store.close()
