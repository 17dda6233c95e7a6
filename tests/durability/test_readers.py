"""Processes that read while another writes see one generation at a time; writers take turns."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridret.errors import BundleError
from hybridret.hybrid import HybridIndex

COMMITS, READERS, GROUP = 200, 4, 5
READER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from changing import encoder
from hybridret.hybrid import HybridIndex
index = HybridIndex.open(Path(sys.argv[2]), encoder())
last, commits, group, n_answers, seen = -1, int(sys.argv[3]), int(sys.argv[4]), 0, set()
print("ready", flush=True)
while last < commits:
    for filter, retrievers in ((None, ["dense", "bm25", "docid"]), ({"group": True}, ["bm25"]), (None, ["docid"])):
        hits = index.retrieve(["pump group water"], 1000, filter, retrievers)[0]
        for hit, document in hits:
            assert hit.doc_id == document.doc_id
        versions = {document.metadata["version"] for _, document in hits if document.metadata.get("group")}
        texts = {document.text.split()[-1] for _, document in hits if document.metadata.get("group")}
        assert len(versions) == 1, f"two generations in one answer: {versions}"
        assert texts == {f"v{version}" for version in versions}
        assert sum(bool(document.metadata.get("group")) for _, document in hits) == group
        (version,) = versions
        assert version >= last, "a generation came back"
        last, n_answers = version, n_answers + 1
        seen.add(version)
index.refresh()
assert len(index) == group + 20 + commits // 10
print(n_answers, len(seen))
"""
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from changing import encoder
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
index = HybridIndex.open(Path(sys.argv[2]), encoder())
for number in range(40):
    index.add([Document(f"{sys.argv[3]}{number}", f"text {number}", {})])
"""


def group_of(version: int, n: int) -> list[Any]:
    from hybridret.types import Document

    return [Document(f"g{at}", f"pump group {at} v{version}", {"group": True, "version": version}) for at in range(n)]


@pytest.fixture
def changing_bundle(tmp_path: Path) -> Path:
    from hybridret.config import Config
    from hybridret.types import Document

    others = [Document(f"o{at}", f"water valve {at}", {}) for at in range(20)]
    HybridIndex.build([*group_of(0, GROUP), *others], own_encoder(), Config(docid_levels=3), tmp_path / "b")
    return tmp_path / "b"


def own_encoder() -> Any:
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from changing import encoder
    finally:
        sys.path.pop(0)
    return encoder()


@pytest.mark.slow
def test_readers_without_pause_see_one_generation_at_a_time(changing_bundle: Path) -> None:
    arguments = [str(Path(__file__).parent), str(changing_bundle), str(COMMITS), str(GROUP)]
    readers = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", READER, *arguments], stdout=-1, stderr=-1, text=True)
        for _ in range(READERS)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    writer = HybridIndex.open(changing_bundle, own_encoder())
    from hybridret.types import Document

    for version in range(1, COMMITS + 1):
        if version % 50 == 25:
            writer.compact()
        if version % 10 == 0:
            writer.add([Document(f"more{version}", f"steam {version}", {}), Document(f"gone{version}", "boiler", {})])
            writer.delete([f"gone{version}"])
        writer.add(group_of(version, GROUP), replace=True)
    for reader in readers:
        out, error = reader.communicate(timeout=120)
        assert reader.returncode == 0, error
        n_answers, n_versions = map(int, out.split())
        assert n_answers > n_versions > 1


def test_two_writers_take_turns(changing_bundle: Path) -> None:
    here = str(Path(__file__).parent)
    writers = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", WRITER, here, str(changing_bundle), name], stderr=-1)
        for name in "ab"
    ]
    for writer in writers:
        _, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error
    index = HybridIndex.open(changing_bundle, own_encoder())
    assert {f"{name}{number}" for name in "ab" for number in range(40)} <= index.ids()
    assert len(index.search(["text"], 1000)[0]) == 25 + 80


def test_a_writer_that_waits_too_long_is_told(changing_bundle: Path) -> None:
    from hybridret.types import Document

    holder = sqlite3.connect(changing_bundle / "hybridret.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    index = HybridIndex.open(changing_bundle, own_encoder(), lock_timeout=0.2)
    calls: list[Callable[[], Any]] = [
        lambda: index.add([Document("new", "x", {})]),
        lambda: index.delete(["o1"]),
        index.compact,
    ]
    for call in calls:
        with pytest.raises(BundleError, match="another process is writing to it"):
            call()
    assert len(index.search(["valve"], 100)[0]) == 25
    holder.execute("ROLLBACK")
    holder.close()
    assert index.delete(["o1"]) == ["o1"]
