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
from hybridret.errors import BundleError, InputError
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


class LabelsThatArriveLate(dict[str, dict[str, int]]):
    """Labels that are read while something else happens."""

    def __init__(self, labels: dict[str, dict[str, int]], meanwhile: Callable[[], object]) -> None:
        super().__init__(labels)
        self.meanwhile = meanwhile

    def items(self) -> Any:
        self.meanwhile()
        return super().items()


@pytest.mark.parametrize("moment", ["while the labels are read", "before the documents are looked up"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_labels_stay_those_of_a_document_that_is_replaced_or_compacted_meanwhile(
    moment: str, on_disk: bool, embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, path = EmbeddingsEncoder(embeddings), tmp_path / "b" if on_disk else None
    documents = [Document("a", "pumps", {}), Document("b", "valves", {}), Document("gone", "seals", {})]
    index = HybridIndex.build(documents, encoder, Config(docid_levels=2), path)
    other = index if path is None else HybridIndex.open(path, encoder)
    labels = {"how to pump": {"a": 1, "gone": 1}, "which seal": {"gone": 1}}

    def change() -> None:
        other.add([Document("a", "pumps, second edition", {})], replace=True)
        other.delete(["gone"])
        other.compact()

    if moment == "while the labels are read":
        report = index.fit(LabelsThatArriveLate(labels, change))
    else:
        store, changes = index._changes.store, [change]
        snapshot = store.snapshot

        def look() -> Any:
            if changes:
                changes.pop()()
            return snapshot()

        monkeypatch.setattr(store, "snapshot", look)
        report = index.fit(labels)
        assert changes == []
    assert report["questions"] == {"labelled": 1}
    with pytest.raises(InputError, match="needs a mapping of document id to grade"):
        index.fit({"how to pump": ["a"]})  # type: ignore[dict-item]
