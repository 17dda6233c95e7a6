"""A power cut at any moment: recorded writes are replayed with those not yet flushed dropped.

A writer runs under ``recorder.c``, which notes every write, flush and change of a folder. ``disk.py`` replays the notes
up to a moment and says what a disk may then hold: its docstring has the model. That is written out and opened.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
from changing import Contents, apply, build, encoder, history, look
from disk import Disk, Folder, Record, contents, read_log, rebuild, without_syncs
from writing import ACK, PLACE

from hybridret.errors import HybridretError
from hybridret.hybrid import HybridIndex

SEED, CHANGES, REPLACEMENTS, GOES_ON_AFTER = 3, 40, 4, 5
CUTS = int(os.environ.get("HYBRIDRET_CUTS", "240"))
"""How many power cuts: half at random, half within a few records of where SQLite commits."""
NEAR = 6


@dataclass
class Recording:
    """What a writer did.

    Attributes:
        start: A copy of the folder as it was before.
        end: The folder after it.
        records: What was done in between.
    """

    start: Path
    end: Path
    records: list[Record]

    def cuts(self, rng: random.Random, n: int) -> list[int]:
        """Numbers of records before which the power goes, ascending."""
        n_records = len(self.records)
        commits = [at for at, record in enumerate(self.records) if record.operation == "u" and "journal" in record.path]
        near = [at for commit in commits for at in range(commit - NEAR, min(commit + NEAR, n_records + 1))]
        return sorted([*rng.choices(range(n_records + 1), k=n // 2), *rng.choices(near, k=n - n // 2)])


@pytest.fixture
def record(tmp_path: Path, recorder: Path, environment: dict[str, str]) -> Callable[..., Recording]:
    def run(action: str, folder: Path, seed: int, n: int) -> Recording:
        start, log = tmp_path / "start", tmp_path / "log"
        shutil.copytree(folder, start)
        watched = {"LD_PRELOAD": str(recorder), "RECORD_DIR": str(folder), "RECORD_LOG": str(log)}
        script = Path(__file__).with_name("writing.py")
        command = [sys.executable, str(script), action, str(folder), str(seed), str(n)]
        done = subprocess.run(command, env=environment | watched, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return Recording(start, folder, read_log(log))

    return run


@pytest.fixture
def recording(tmp_path: Path, record: Callable[..., Recording]) -> tuple[Recording, list[Contents]]:
    """Changes of a bundle, with the contents before the first and after each."""
    states = [build(tmp_path / "b", SEED)]
    states += [after for _, after in islice(history(states[0], SEED), CHANGES)]
    return record("write", tmp_path / "b", SEED, CHANGES), states


def power_cuts(
    recording: Recording, records: Sequence[Record], cuts: Sequence[int], seed: int
) -> Iterator[tuple[int, int, bool, Folder]]:
    """Of each cut its place, how many changes were acknowledged, whether another had begun, and what is left."""
    for number, cut in enumerate(cuts):
        rng = random.Random(f"{seed} {number}")
        disk = Disk(recording.start, syncs_entry=rng.random() < 0.5)
        for record in records[:cut]:
            disk.apply(record)
        said = [
            record.first
            for record in records[:cut]
            if record.operation == "w" and record.first in (b"begins\n", b"done\n")
        ]
        n_done = said.count(b"done\n")
        yield cut, n_done, said.count(b"begins\n") > n_done, disk.after_power_cut(rng)


@pytest.mark.slow
def test_after_a_power_cut_there_is_the_state_before_or_after_and_every_acknowledged_change(
    recording: tuple[Recording, list[Contents]], tmp_path: Path
) -> None:
    recorded, states = recording
    assert look(recorded.end) == states[-1]
    seen = [0, 0]
    cuts = recorded.cuts(random.Random(SEED), CUTS)
    for number, (cut, n_done, is_in_change, left) in enumerate(power_cuts(recorded, recorded.records, cuts, SEED)):
        place = tmp_path / f"after{number}"
        rebuild(left, place, [ACK])
        possible = states[n_done : n_done + 1 + is_in_change]
        found = look(place)
        assert found in possible, f"power cut {number}, before record {cut}, after {n_done} changes"
        seen[possible.index(found)] += 1
        if number % GOES_ON_AFTER == 0:
            change, after = next(history(found, number, CHANGES))
            apply(HybridIndex.open(place, encoder()), change)
            assert look(place) == after
        shutil.rmtree(place)
    assert sum(seen) == CUTS
    assert seen[1] > 0


def test_the_replay_has_all_that_was_written(recording: tuple[Recording, list[Contents]]) -> None:
    recorded, _ = recording
    disk = Disk(recorded.start, syncs_entry=True)
    for record in recorded.records:
        disk.apply(record)
    assert {record.operation for record in recorded.records} >= set("owtscur")
    assert contents(disk.as_written()) == {
        path.relative_to(recorded.end).as_posix(): path.read_bytes()
        for path in recorded.end.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("forgets", [".safetensors", ".sqlite", ""])
def test_a_writer_that_forgot_to_flush_would_be_found_out(
    recording: tuple[Recording, list[Contents]], tmp_path: Path, forgets: str
) -> None:
    recorded, states = recording
    recorded.records = list(without_syncs(recorded.records, forgets))
    cuts = recorded.cuts(random.Random(SEED), CUTS)
    for number, (_, n_done, is_in_change, left) in enumerate(power_cuts(recorded, recorded.records, cuts, SEED)):
        place = tmp_path / f"after{number}"
        rebuild(left, place, [ACK])
        try:
            found = look(place)
        except (AssertionError, HybridretError):
            return
        if found not in states[n_done : n_done + 1 + is_in_change]:
            return
    pytest.fail(f"nothing was wrong after {CUTS} power cuts")


@pytest.mark.slow
def test_after_a_power_cut_a_bundle_that_is_made_or_replaced_is_whole(
    record: Callable[..., Recording], tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    recorded = record("replace", tmp_path / "root", SEED, REPLACEMENTS)
    states: list[Contents | None] = [None]
    for number in range(REPLACEMENTS):
        states.append(build(tmp_path / "as" / str(number), SEED + number, 20))
    assert look(tmp_path / "root" / PLACE) == states[-1]
    seen = set()
    cuts = recorded.cuts(random.Random(SEED), CUTS // 2)
    for number, (cut, n_done, is_in_change, left) in enumerate(power_cuts(recorded, recorded.records, cuts, SEED)):
        place = tmp_path / f"after{number}"
        rebuild(left, place, [ACK])
        found = look(place / PLACE) if (place / PLACE).exists() else None
        possible = states[n_done : n_done + 1 + is_in_change]
        assert found in possible, f"power cut {number}, before record {cut}, after {n_done} bundles"
        seen.add(states.index(found))
        shutil.rmtree(place)
    assert len(seen) > 2
