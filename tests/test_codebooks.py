"""Codebooks that are due are fitted while other writers of the bundle go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.hybrid import HybridIndex
from hybridret.types import Document

CONFIG = Config(docid_levels=3, docid_codes=8)
N = 40
Hook = Callable[[], None]


def documents(first: int, n: int) -> list[Document]:
    return [
        Document(f"d{at}", f"text {at} about {'valves' if at % 2 else 'pumps'} of hall {at % 7}", {})
        for at in range(first, first + n)
    ]


@pytest.fixture
def during_fit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hook], list[int]]:
    """Has something done while codebooks are fitted for the first time; gives how many vectors each fit was of."""
    fit, hooks, sizes = ResidualQuantizer.fit.__func__, list[Hook](), list[int]()  # type: ignore[attr-defined]

    def fitted(cls: type[ResidualQuantizer], vectors: Any, *arguments: Any) -> ResidualQuantizer:
        sizes.append(len(vectors))
        if hooks:
            hooks.pop()()
        found: ResidualQuantizer = fit(cls, vectors, *arguments)
        return found

    def set_hook(hook: Hook) -> list[int]:
        hooks.append(hook)
        sizes.clear()
        return sizes

    monkeypatch.setattr(ResidualQuantizer, "fit", classmethod(fitted))
    return set_hook


def open_twice(folder: Path, embeddings: Any) -> tuple[HybridIndex, HybridIndex]:
    """The same bundle by two writers, of which the second does not wait for the first."""
    HybridIndex.build(documents(0, N), EmbeddingsEncoder(embeddings), CONFIG, folder)
    encoder = EmbeddingsEncoder(embeddings)
    return HybridIndex.open(folder, encoder), HybridIndex.open(folder, encoder, lock_timeout=0.0)


OTHERS: dict[str, Callable[[HybridIndex], object]] = {
    "nothing": lambda other: None,
    "adds": lambda other: other.add(documents(200, 2)),
    "replaces": lambda other: other.add([Document("d3", "another text", {})], replace=True),
    "deletes": lambda other: other.delete(["d0", "d5", "d100"]),
    "deletes, compacts": lambda other: (other.delete(["d0", "d5"]), other.compact()),
    "deletes, compacts and adds": lambda other: (other.delete(["d1"]), other.compact(), other.add(documents(200, 3))),
    "fits as well": lambda other: other.add(documents(200, N)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_writer_need_not_wait_for_codebooks_and_nothing_of_either_is_lost(
    what: str, embeddings: Any, tmp_path: Path, during_fit: Callable[[Hook], list[int]]
) -> None:
    first, second = open_twice(tmp_path / "b", embeddings)
    was = second._changes.generation.docid
    sizes = during_fit(lambda: OTHERS[what](second))
    first.add([*documents(100, N), Document("d6", "its second version", {})], replace=True)
    assert sizes[0] == 2 * N
    assert len(sizes) == (2 if what == "fits as well" else 1)
    expected = {document.doc_id for document in documents(0, N) + documents(100, N)}
    if "deletes" in what:
        expected -= {"d1"} if "adds" in what else {"d0", "d5"}
    expected |= {f"d{at}" for at in range(200, 200 + {"adds": 2, "fits as well": N}.get(what, 3 * ("adds" in what)))}
    second.refresh()
    for index in (first, second, HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))):
        assert index.ids() == expected
        (hits,) = index.search(["pumps of hall 3"], 999, retrievers=["docid"])
        assert {hit.doc_id for hit in hits} == expected
        (document,) = index.get(["d6"])
        assert document.text == "its second version"
    assert check_bundle(tmp_path / "b").faults == []
    generation = first._changes.generation
    assert generation.docid is not None
    assert generation.docid.scheme is not was
    assert generation.fitted_at == (2 * N if what == "fits as well" else generation.next_key)


def test_alone_codebooks_are_those_that_a_fit_under_the_lock_would_give(embeddings: Any, tmp_path: Path) -> None:
    on_disk, _ = open_twice(tmp_path / "b", embeddings)
    in_memory = HybridIndex.build(documents(0, N), EmbeddingsEncoder(embeddings), CONFIG)
    for first, n in ((100, 3), (200, N), (300, 1), (400, 2 * N)):
        for index in (on_disk, in_memory):
            index.add([*documents(first, n), Document("d6", f"version {n}", {})], replace=True)
            index.delete([f"d{first}"])
        ours, expected = on_disk._changes.generation, in_memory._changes.generation
        assert ours.docid is not None
        assert expected.docid is not None
        np.testing.assert_array_equal(ours.docid.codes, expected.docid.codes)
        np.testing.assert_array_equal(ours.docid.suffixes, expected.docid.suffixes)
        assert (ours.fitted_on, ours.fitted_at) == (expected.fitted_on, expected.fitted_at)


def test_a_thread_of_the_same_process_need_not_wait_either(
    embeddings: Any, tmp_path: Path, during_fit: Callable[[Hook], list[int]]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    index, _ = open_twice(tmp_path / "b", embeddings)
    with ThreadPoolExecutor(1) as pool:
        during_fit(lambda: pool.submit(index.delete, ["d0"]).result(timeout=60) and None)
        index.add(documents(100, N))
    assert index.ids() == {document.doc_id for document in documents(1, N - 1) + documents(100, N)}
    assert check_bundle(tmp_path / "b").faults == []
