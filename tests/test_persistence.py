"""Generations on disk: a change writes what is new, a reader reads what it lacks, and both have the same index."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridret.bm25 import TOKENIZER_VERSION
from hybridret.config import Config
from hybridret.docids import ResidualQuantizer
from hybridret.errors import BundleError
from hybridret.generation import Generation
from hybridret.generative import DocidRetriever
from hybridret.persistence import BY_ROWS, Committed, read_generation, write_files
from hybridret.store import ArrayFile, Bundle, DocumentStore, State
from hybridret.store.bundle import DATABASE, names_of, write_arrays
from hybridret.types import RETRIEVERS, Arrays, Document, FloatArray, Queries

DIMENSION, N_CODES = 6, 4
WORDS = ["pump", "valve", "water", "steam", "boiler", "the"]


@pytest.fixture(autouse=True)
def rare_refits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codebooks are fitted anew at fourfold growth and where a test says so; the trie is sorted anew soon."""
    monkeypatch.setattr("hybridret.generation._MANY_PER_CODE", 0)
    monkeypatch.setattr("hybridret.generative.indexed._DELTA_ROWS", 3)


def unit_vectors(n: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(n, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


QUERIES = Queries(["pump steam", "the the water", "nowhere"], unit_vectors(3, seed=99))


class Disk:
    """A bundle's array files, with its documents and state in memory: all of a bundle but the flushing."""

    def __init__(self, folder: Path) -> None:
        (folder / DATABASE).touch()
        self.bundle, self.store = Bundle(folder), DocumentStore.in_memory()
        config = Config(docid_levels=2, docid_codes=N_CODES)
        state = State(0, 0, config, "model", 0, 0, 0, {}, {}, tokenizer=TOKENIZER_VERSION)
        self.committed = Committed(state, Generation.empty(config))
        self.store.state = self.committed.state.as_json()
        self.written: list[str] = []
        self.seed = 0

    @property
    def generation(self) -> Generation:
        return self.committed.generation

    @property
    def files(self) -> dict[str, list[ArrayFile]]:
        return self.committed.state.files

    def read(self, known: Committed | None = None) -> Committed:
        return read_generation(self.bundle, self.store, known)

    def commit(self, after: Generation, removed: list[int] | None = None, added: list[Document] | None = None) -> None:
        before, after = self.generation, replace(after, number=self.generation.number + 1)
        self.written = []
        files = write_files(self.bundle.folder, after, self.committed, self.written)
        state = replace(
            self.committed.state,
            generation=after.number,
            epoch=after.epoch,
            fitted_on=after.fitted_on,
            fitted_at=after.fitted_at,
            next_key=after.next_key,
            files=files,
        )
        with self.store.transaction():
            self.store.delete(removed or [], after.number)
            self.store.insert(before.next_key, added or [], np.zeros(len(added or []), dtype=np.int64))
            if after.epoch != before.epoch:
                self.store.forget_deleted()
            self.store.state = state.as_json()
        self.bundle.remove(set(self.bundle.array_files()) - set(names_of(files)))
        self.committed = Committed(state, after)

    def add(self, n: int) -> None:
        self.seed += 1
        rng = np.random.default_rng(self.seed)
        first = self.generation.next_key
        texts = [" ".join(rng.choice(WORDS, size=rng.integers(0, 5))) for _ in range(n)]
        ids = [f"{rng.integers(1000)}-{key}" for key in range(first, first + n)]
        documents = [Document(doc_id, text, {}) for doc_id, text in zip(ids, texts, strict=True)]
        self.commit(self.generation.appended(documents, unit_vectors(n, self.seed)), added=documents)

    def delete(self, n: int) -> None:
        self.seed += 1
        alive = np.flatnonzero(self.generation.alive)
        rows = np.random.default_rng(self.seed).permutation(alive)[:n]
        self.commit(self.generation.without(rows), removed=self.generation.keys[rows].tolist())

    def refit(self) -> None:
        """New codebooks, where there is anything to code."""
        if not self.generation.n_rows:
            return
        self.seed += 1
        codebooks = np.random.default_rng(self.seed).normal(size=(2, N_CODES, DIMENSION)).astype(np.float32)
        docid = DocidRetriever(ResidualQuantizer(codebooks)).appended(self.generation.dense.vectors)
        self.commit(replace(self.generation, docid=docid, fitted_on=self.generation.n_documents))

    def compact(self) -> None:
        numbered = replace(self.generation, number=self.generation.number + 1)
        self.commit(numbered.compacted([document.text for _, document in self.store.documents()]))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def answers(generation: Generation) -> dict[str, list[tuple[list[str], list[float]]]]:
    """All documents by each retriever, by id, best first."""
    runs = generation.runs(QUERIES, dict.fromkeys(RETRIEVERS, 1000), generation.living)
    return {
        name: [([generation.ids[row] for row in run.rows], run.scores.tolist()) for run in found]
        for name, found in runs.items()
    }


def assert_same(one: Committed, other: Committed) -> None:
    """The same state, arrays and search results."""
    assert one.state == other.state
    a, b = one.generation, other.generation
    for name in ("number", "epoch", "config", "next_key", "fitted_on", "fitted_at", "n_documents"):
        assert getattr(a, name) == getattr(b, name), name
    for left, right in (
        (a.keys, b.keys),
        (a.alive, b.alive),
        (a.bm25.postings.lengths, b.bm25.postings.lengths),
        (a.bm25.postings.alive, b.bm25.postings.alive),
    ):
        assert left.dtype == right.dtype
        assert np.array_equal(left, right)
    if a.n_rows:
        assert np.array_equal(a.dense.vectors, b.dense.vectors)
    assert len(a.dense.vectors) == len(b.dense.vectors) == a.n_rows
    assert [a.ids[row] for row in np.flatnonzero(a.alive)] == [b.ids[row] for row in np.flatnonzero(b.alive)]
    assert a.id_order[a.alive[a.id_order]].tolist() == b.id_order[b.alive[b.id_order]].tolist()
    assert (a.docid is None) == (b.docid is None)
    if a.docid is not None and b.docid is not None:
        assert np.array_equal(a.docid.codes, b.docid.codes)
        assert a.docid.codes.dtype == b.docid.codes.dtype
        assert np.array_equal(a.docid.suffixes, b.docid.suffixes)
        assert np.array_equal(a.docid.quantizer.codebooks, b.docid.quantizer.codebooks)
    for word in WORDS:
        assert a.bm25.postings.document_count(word) == b.bm25.postings.document_count(word)
    found, wanted = answers(a), answers(b)
    for name in wanted:
        for (ids, scores), (wanted_ids, wanted_scores) in zip(found[name], wanted[name], strict=True):
            assert sorted(ids) == sorted(wanted_ids)
            if name == "bm25":
                mine, theirs = dict(zip(ids, scores, strict=True)), dict(zip(wanted_ids, wanted_scores, strict=True))
                assert mine == pytest.approx(theirs, abs=1e-12, rel=1e-12)
            else:
                assert (ids, scores) == (wanted_ids, wanted_scores)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "delete", "refit", "compact"]), st.integers(1, 6), st.integers(0, 2)
    ),
    min_size=1,
    max_size=12,
)


@settings(
    deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CHANGES)
def test_whoever_catches_up_has_what_a_fresh_reader_and_the_writer_have(changes: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder))
        disk.add(2)
        often, seldom = disk.read(), disk.read()
        for kind, n, pause in changes:
            if kind in ("add", "delete"):
                getattr(disk, kind)(n)
            else:
                getattr(disk, kind)()
            fresh = disk.read()
            assert set(disk.bundle.array_files()) == set(names_of(fresh.state.files))
            often = disk.read(often)
            assert_same(fresh, disk.committed)
            assert_same(often, fresh)
            if not pause:
                seldom = disk.read(seldom)
                assert_same(seldom, fresh)
        assert_same(disk.read(seldom), disk.read())


@settings(deadline=None, max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_beams_over_stored_tries_find_what_all_docids_scored_find(changes: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        disk = Disk(Path(folder))
        disk.add(3)
        caught_up = disk.read()
        for kind, n, _ in changes:
            if kind in ("add", "delete"):
                getattr(disk, kind)(n)
            else:
                getattr(disk, kind)()
            caught_up = disk.read(caught_up)
            if not disk.generation.n_documents:
                continue
            exhaustive = answers(disk.generation)["docid"]
            patch.setattr("hybridret.generative.retriever.EXHAUSTIVE_UP_TO", -1)
            for reader in (caught_up, disk.read()):
                for (ids, scores), (wanted_ids, wanted) in zip(
                    answers(reader.generation)["docid"], exhaustive, strict=True
                ):
                    assert ids == wanted_ids
                    np.testing.assert_allclose(scores, wanted, atol=1e-4)
            patch.setattr("hybridret.generative.retriever.EXHAUSTIVE_UP_TO", 4096)


def test_without_deletions_all_have_bm25s_scores_bit_for_bit(disk: Disk) -> None:
    disk.add(4)
    caught_up = disk.read()
    for n in (1, 3, 1, 1, 8, 2):
        disk.add(n)
        caught_up = disk.read(caught_up)
        assert answers(caught_up.generation) == answers(disk.read().generation) == answers(disk.generation)


def test_compaction_gives_the_bits_of_a_fresh_build(disk: Disk) -> None:
    for n in (5, 1, 1, 4):
        disk.add(n)
        disk.delete(1)
    disk.compact()
    documents = [document for _, document in disk.store.documents()]
    built = Generation.empty(disk.generation.config).appended(documents, disk.generation.dense.vectors)
    for reader in (disk.committed, disk.read()):
        assert reader.generation.alive.all()
        assert answers(reader.generation)["bm25"] == answers(built)["bm25"]
        assert answers(reader.generation)["dense"] == answers(built)["dense"]


def test_an_older_generation_answers_as_before_while_readers_go_on(disk: Disk) -> None:
    disk.add(6)
    old = disk.read()
    before = answers(old.generation)
    newer = old
    for change in (lambda: disk.add(5), lambda: disk.delete(4), disk.refit, lambda: disk.add(1), disk.compact):
        change()
        newer = disk.read(newer)
        assert answers(old.generation) == before
    assert answers(newer.generation) != before


# What is written


def contents(disk: Disk) -> dict[str, bytes]:
    return {name: (disk.bundle.folder / name).read_bytes() for name in disk.bundle.array_files()}


@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_files_once_written_are_never_touched_and_hold_every_row_once(changes: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder))
        disk.add(1)
        for kind, n, _ in changes:
            before = contents(disk)
            if kind in ("add", "delete"):
                getattr(disk, kind)(n)
            else:
                getattr(disk, kind)()
            after = contents(disk)
            assert {name: after[name] for name in set(after) & set(before)} == {
                name: before[name] for name in set(after) & set(before)
            }
            assert set(after) - set(before) == set(disk.written)
            assert len(disk.written) == len(set(disk.written))
            for part in BY_ROWS:
                sizes = [file.rows for file in disk.files[part]]
                assert sum(sizes) == disk.generation.n_rows
                assert all(one >= 2 * following for one, following in pairwise(sizes))
            for files in disk.files.values():
                for file in files:
                    assert len(after[file.name]) == file.bytes
                    assert file.rows or file.name.startswith("codebooks.")


def test_a_deletion_writes_no_file(disk: Disk) -> None:
    disk.add(20)
    before = disk.files
    disk.delete(7)
    assert disk.written == []
    assert disk.files == before


def test_deleting_the_last_document_keeps_the_bundle_whole(disk: Disk) -> None:
    disk.add(3)
    disk.delete(3)
    reader = disk.read()
    assert reader.generation.n_documents == 0
    assert_same(reader, disk.committed)
    disk.compact()
    assert disk.files == {"vectors": [], "bm25": [], "docid": []}
    assert_same(disk.read(reader), disk.committed)
    disk.add(2)
    assert_same(disk.read(reader), disk.committed)


def test_a_small_addition_to_a_large_index_writes_its_rows_alone(disk: Disk) -> None:
    disk.add(40)
    kept = disk.files
    disk.add(2)
    generation = disk.generation.number
    assert sorted(disk.written) == sorted(f"{part}.{generation}.safetensors" for part in BY_ROWS)
    for part in BY_ROWS:
        assert disk.files[part][:-1] == kept[part]
        assert disk.files[part][-1].rows == 2
    for part in ("codebooks", "trie"):
        assert disk.files[part] == kept[part]


def test_new_codebooks_write_every_docid_anew_and_nothing_else(disk: Disk) -> None:
    disk.add(40)
    disk.add(2)
    kept = disk.files
    disk.refit()
    assert {name.partition(".")[0] for name in disk.written} == {"docid", "codebooks", "trie"}
    assert [file.rows for file in disk.files["docid"]] == [42]
    assert (disk.files["vectors"], disk.files["bm25"]) == (kept["vectors"], kept["bm25"])


def test_the_trie_is_written_anew_when_more_than_a_quarter_lies_beside_it(disk: Disk) -> None:
    disk.add(40)
    covered = []
    for _ in range(14):
        disk.add(1)
        (trie,) = disk.files["trie"]
        covered.append(trie.rows)
    n_rows = list(range(41, 55))
    assert covered[0] == 40
    assert covered[-1] > 40
    for rows, total, previous in zip(covered, n_rows, [40, *covered], strict=False):
        assert rows in (previous, total)
        assert total - rows <= max(3, total // 4)
    assert_same(disk.read(), disk.committed)


def test_three_hundred_single_additions_leave_logarithmically_many_files_and_segments(disk: Disk) -> None:
    disk.add(1)
    reader, most = disk.read(), 0
    for n_rows in range(2, 302):
        disk.add(1)
        reader = disk.read(reader)
        limit = math.log2(n_rows) + 1
        for part in BY_ROWS:
            assert len(disk.files[part]) <= limit
        for generation in (disk.generation, reader.generation):
            assert len(generation.bm25.postings.segments) <= limit
        most = max(most, len(disk.files["vectors"]))
        assert len(disk.bundle.array_files()) == len(names_of(disk.files))
    assert most > 3, "so few that nothing was shown"
    assert_same(reader, disk.committed)
    assert_same(disk.read(), disk.committed)


# What is read


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, BinaryIO]]:
    """The files that are opened, as they are."""
    real: Callable[..., BinaryIO] = Bundle.handle
    found: list[tuple[str, BinaryIO]] = []

    def handle(bundle: Bundle, file: ArrayFile) -> BinaryIO:
        found.append((file.name, real(bundle, file)))
        return found[-1][1]

    monkeypatch.setattr(Bundle, "handle", handle)
    return found


def names(opened: list[tuple[str, BinaryIO]]) -> list[str]:
    found = sorted(name for name, _ in opened)
    assert all(handle.closed for _, handle in opened)
    opened.clear()
    return found


def test_a_fresh_reader_reads_every_named_file_once(disk: Disk, opened: list[tuple[str, BinaryIO]]) -> None:
    for n in (10, 2, 1):
        disk.add(n)
    write_arrays(disk.bundle.folder, "vectors", 99, {"x": np.zeros(1)}, 1)
    disk.read()
    assert names(opened) == sorted(names_of(disk.files))


def test_a_reader_reads_the_files_of_new_rows_alone(disk: Disk, opened: list[tuple[str, BinaryIO]]) -> None:
    disk.add(40)
    reader = disk.read()
    names(opened)
    disk.add(2)
    reader = disk.read(reader)
    assert names(opened) == sorted(disk.written) == [f"{part}.2.safetensors" for part in ("bm25", "docid", "vectors")]
    disk.delete(5)
    reader = disk.read(reader)
    assert names(opened) == []
    reader = disk.read(reader)
    assert names(opened) == []
    disk.add(2)
    disk.delete(1)
    disk.add(9)
    reader = disk.read(reader)
    sizes = np.cumsum([file.rows for file in disk.files["vectors"]])
    wanted = [file.name for file, end in zip(disk.files["vectors"], sizes, strict=True) if end > 42]
    assert [name for name in names(opened) if name.startswith("vectors")] == wanted
    assert len(wanted) < len(disk.files["vectors"])
    assert_same(reader, disk.committed)


def test_a_file_that_merges_known_rows_with_new_ones_is_read_for_the_new_ones(
    disk: Disk, opened: list[tuple[str, BinaryIO]]
) -> None:
    disk.add(40)
    disk.add(3)
    reader = disk.read()
    names(opened)
    disk.add(2)
    assert [file.rows for file in disk.files["vectors"]] == [40, 5]
    reader = disk.read(reader)
    assert names(opened) == sorted(disk.written)
    assert_same(reader, disk.committed)


def test_new_codebooks_are_read_with_every_docid(disk: Disk, opened: list[tuple[str, BinaryIO]]) -> None:
    disk.add(40)
    disk.add(2)
    reader = disk.read()
    disk.refit()
    disk.add(1)
    names(opened)
    reader = disk.read(reader)
    found = names(opened)
    assert {name.partition(".")[0] for name in found} == {"vectors", "bm25", "docid", "codebooks", "trie"}
    assert [name for name in found if name.startswith("docid")] == sorted(file.name for file in disk.files["docid"])
    assert len([name for name in found if name.startswith("vectors")]) == 1
    assert_same(reader, disk.committed)


def test_after_compaction_all_is_read_anew(disk: Disk, opened: list[tuple[str, BinaryIO]]) -> None:
    disk.add(12)
    reader = disk.read()
    disk.delete(4)
    disk.compact()
    disk.add(1)
    names(opened)
    reader = disk.read(reader)
    assert names(opened) == sorted(names_of(disk.files))
    assert_same(reader, disk.committed)


def test_files_are_open_before_a_change_can_remove_them(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (9, 1):
        disk.add(n)
    read = Bundle.read

    def removing(bundle: Bundle, file: ArrayFile, handle: BinaryIO | None = None) -> Arrays:
        bundle.remove(bundle.array_files())
        return read(bundle, file, handle)

    monkeypatch.setattr(Bundle, "read", removing)
    assert_same(disk.read(), disk.committed)
    assert disk.bundle.array_files() == []


def test_files_are_read_after_the_snapshot_so_that_writers_wait_little(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.add(5)
    read, states = Bundle.read, []

    def noting(bundle: Bundle, file: ArrayFile, handle: BinaryIO | None = None) -> Arrays:
        with disk.store.reading() as connection:
            states.append(connection.in_transaction)
        return read(bundle, file, handle)

    monkeypatch.setattr(Bundle, "read", noting)
    disk.read()
    assert states == [False] * 5


# Damage


@pytest.fixture
def damaging(disk: Disk) -> Disk:
    """Ten documents in several files, one of them deleted, and sound as yet."""
    disk.add(8)
    disk.add(2)
    disk.delete(1)
    assert_same(disk.read(), disk.committed)
    return disk


def put(disk: Disk, part: str, at: int, arrays: Arrays, rows: int | None = None) -> None:
    """Puts other arrays in a file's place, with checksums that are right."""
    old = disk.files[part][at]
    (disk.bundle.folder / old.name).unlink()
    generation = int(old.name.split(".")[1])
    file = write_arrays(disk.bundle.folder, part, generation, arrays, old.rows if rows is None else rows)
    files = {**disk.files, part: [*disk.files[part][:at], file, *disk.files[part][at + 1 :]]}
    disk.store.state = replace(disk.committed.state, files=files).as_json()


@pytest.mark.parametrize("part", [*BY_ROWS, "codebooks", "trie"])
@pytest.mark.parametrize("damage", ["gone", "truncated", "changed"])
def test_a_damaged_file_is_named_its_handle_closed_and_what_is_known_goes_on(
    damaging: Disk, opened: list[tuple[str, BinaryIO]], part: str, damage: str
) -> None:
    known = damaging.read()
    before = answers(known.generation)
    damaging.refit()
    damaging.add(3)
    names(opened)
    path = damaging.bundle.folder / damaging.files[part][-1].name
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[:-3] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 4]))
    for start in (None, known):
        with pytest.raises(BundleError, match=path.name):
            damaging.read(start)
        names(opened)
    assert answers(known.generation) == before
    path.write_bytes(content)
    assert_same(damaging.read(known), damaging.committed)


@pytest.mark.parametrize("part", BY_ROWS)
@pytest.mark.parametrize("difference", [-1, 1])
def test_parts_of_different_numbers_of_rows_are_refused(damaging: Disk, part: str, difference: int) -> None:
    (*kept, last) = damaging.files[part]
    files = {**damaging.files, part: [*kept, last._replace(rows=last.rows + difference)]}
    damaging.store.state = replace(damaging.committed.state, files=files).as_json()
    with pytest.raises(BundleError, match="its parts do not fit together"):
        damaging.read()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda keys: keys[::-1].copy(), "not in order"),
        (lambda keys: np.full_like(keys, keys[0]), "not in order"),
        (lambda keys: keys - 10, "not in order"),
        (lambda keys: keys + 10, "not in order"),
        (lambda keys: keys.astype(np.int32), "the vectors are none"),
        (lambda keys: keys[:-1], "not as many"),
    ],
)
def test_keys_that_cannot_be_are_refused(damaging: Disk, change: Callable[..., Any], message: str) -> None:
    arrays = damaging.bundle.read(damaging.files["vectors"][0])
    put(damaging, "vectors", 0, {**arrays, "keys": change(arrays["keys"])})
    with pytest.raises(BundleError, match=message):
        damaging.read()


@pytest.mark.parametrize(
    "change",
    [
        lambda vectors: vectors.astype(np.float64),
        lambda vectors: vectors[:, :3].copy(),
        lambda vectors: vectors[0],
        lambda vectors: vectors[:-1],
        lambda vectors: np.where(np.arange(len(vectors))[:, None] == 2, np.float32(np.nan), vectors),
        lambda vectors: np.where(np.arange(len(vectors))[:, None] == 2, np.float32(np.inf), vectors),
    ],
)
def test_vectors_that_cannot_be_are_refused(damaging: Disk, change: Callable[..., Any]) -> None:
    arrays = damaging.bundle.read(damaging.files["vectors"][0])
    put(damaging, "vectors", 0, {**arrays, "vectors": change(arrays["vectors"])})
    with pytest.raises(BundleError, match="its parts do not fit together"):
        damaging.read()


@pytest.mark.parametrize(
    "codebooks",
    [
        np.zeros((2, N_CODES, DIMENSION), dtype=np.float64),
        np.zeros((N_CODES, DIMENSION), dtype=np.float32),
        np.full((2, N_CODES, DIMENSION), np.nan, dtype=np.float32),
        np.zeros((0, N_CODES, DIMENSION), dtype=np.float32),
        np.zeros((2, 0, DIMENSION), dtype=np.float32),
        np.zeros((2, 1, DIMENSION), dtype=np.float32),
        np.zeros((3, N_CODES, DIMENSION), dtype=np.float32),
        np.zeros((2, N_CODES, DIMENSION + 1), dtype=np.float32),
    ],
    ids=lambda codebooks: f"{codebooks.dtype}{codebooks.shape}",
)
def test_codebooks_that_cannot_be_are_refused(damaging: Disk, codebooks: Any) -> None:
    put(damaging, "codebooks", 0, {"codebooks": codebooks})
    with pytest.raises(BundleError, match="its parts do not fit together"):
        damaging.read()


@pytest.mark.parametrize("part", [*BY_ROWS, "codebooks", "trie"])
def test_a_file_without_its_arrays_is_refused(damaging: Disk, part: str) -> None:
    put(damaging, part, 0, {"other": np.zeros(2)})
    with pytest.raises(BundleError, match="its parts do not fit together"):
        damaging.read()


def test_docids_given_twice_are_refused(damaging: Disk) -> None:
    arrays = damaging.bundle.read(damaging.files["docid"][0])
    doubled = {name: np.concatenate([array[:1], array[:-1]]) for name, array in arrays.items()}
    put(damaging, "docid", 0, doubled)
    with pytest.raises(BundleError, match="its parts do not fit together"):
        damaging.read()


def test_a_document_without_a_vector_is_refused_also_by_who_catches_up(damaging: Disk) -> None:
    known = damaging.read()
    damaging.add(1)
    key = damaging.generation.next_key
    damaging.store.insert(key, [Document("extra", "t", {})], np.zeros(1, dtype=np.int64))
    for start in (None, known):
        with pytest.raises(BundleError, match="there are documents without vectors"):
            damaging.read(start)


def test_a_document_that_is_gone_unsaid_is_refused(damaging: Disk) -> None:
    row = int(np.flatnonzero(damaging.generation.alive)[0])
    with damaging.store.reading() as connection:
        connection.execute("DELETE FROM documents WHERE key = ?", [int(damaging.generation.keys[row])])
    with pytest.raises(BundleError, match="the documents that are gone are not those that were deleted"):
        damaging.read()


def test_a_document_that_was_deleted_and_is_there_is_refused(damaging: Disk) -> None:
    row = int(np.flatnonzero(damaging.generation.alive)[0])
    with damaging.store.reading() as connection:
        connection.execute("INSERT INTO deleted VALUES (?, 1)", [int(damaging.generation.keys[row])])
    with pytest.raises(BundleError, match="the documents that are gone are not those that were deleted"):
        damaging.read()


def test_settings_of_a_state_that_cannot_be_are_refused(damaging: Disk) -> None:
    value = damaging.committed.state.as_json()
    for name in ("fusion", "index", "language"):
        damaging.store.state = {**value, "config": {**value["config"], name: "nonsense"}}
        with pytest.raises(BundleError, match="is damaged: "):
            damaging.read()
