"""Two processes that change a bundle in turn: neither takes the other's files for its own leftovers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridret.changes import Changes
from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import BundleError
from hybridret.hybrid import HybridIndex
from hybridret.types import Document


def tidies_up(changes: Changes) -> None:
    """What follows a commit of its own."""
    changes._tidy(compacted=False)


def fails(changes: Changes) -> None:
    """What follows a change that failed, whose files were called like those of the one that goes on now."""
    assert changes.bundle is not None
    changes._clean_up(changes.bundle.array_files())


@pytest.mark.parametrize("does", [tidies_up, fails])
def test_files_that_another_process_has_written_and_not_committed_stay(
    does: Callable[[Changes], None], embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = EmbeddingsEncoder(embeddings)
    first = HybridIndex.build([Document("a", "pumps", {})], encoder, Config(docid_levels=2), tmp_path / "b")
    second = HybridIndex.open(tmp_path / "b", encoder)
    second.refresh()
    write = first._changes._written
    seen = list[str]()

    def written(*arguments: Any) -> Any:
        state = write(*arguments)
        seen.extend(path.name for path in (tmp_path / "b").glob("*.safetensors"))
        does(second._changes)
        return state

    monkeypatch.setattr(first._changes, "_written", written)
    first.add([Document("b", "valves", {})])
    assert any(name.startswith("vectors.2.") for name in seen)
    assert check_bundle(tmp_path / "b") == (2, [], [])
    assert second.ids() == {"a", "b"}


def test_a_change_that_failed_leaves_nothing_behind(
    embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = HybridIndex.build(
        [Document("a", "pumps", {})], EmbeddingsEncoder(embeddings), Config(docid_levels=2), tmp_path / "b"
    )
    with monkeypatch.context() as failing:
        failing.setattr("hybridret.changes.sync", lambda folder: (_ for _ in ()).throw(BundleError("the disk is full")))
        with pytest.raises(BundleError, match="the disk is full"):
            index.add([Document("b", "valves", {})])
    assert check_bundle(tmp_path / "b") == (1, [], [])
