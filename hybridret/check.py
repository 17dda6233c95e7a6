"""Looking for damage in a bundle, and rebuilding what can be derived from the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridret.bm25 import TOKENIZER_VERSION, BM25Retriever, Tokenizer
from hybridret.errors import BundleError
from hybridret.generative import sorted_trie
from hybridret.persistence import read_generation
from hybridret.store import ArrayFile, Bundle, DocumentStore, State
from hybridret.store.bundle import changed_files, names_of, sync, write_arrays
from hybridret.store.seal import break_seal, broken_seal, seal_store
from hybridret.types import Arrays

_SEAL = "seal"
SOURCES = {
    "bm25": {"documents", "vectors"},
    "trie": {"documents", "docid", "codebooks", "scheme"},
    _SEAL: {"documents"},
}
"""What each derived part can be rebuilt from."""


class Fault(NamedTuple):
    """Something wrong with a bundle.

    Attributes:
        part: What is damaged: ``documents``, ``model``, ``backbone``, a part's name, or ``seal``.
        message: What is wrong, with the file's path.
    """

    part: str
    message: str

    @property
    def is_repairable(self) -> bool:
        """Whether the part can be rebuilt from the others."""
        return self.part in SOURCES


class Report(NamedTuple):
    """What a check found.

    Attributes:
        documents: How many documents there are; 0 where the database cannot be read.
        faults: What is wrong.
        leftovers: Files of interrupted changes, which the next change removes.
    """

    documents: int
    faults: list[Fault]
    leftovers: list[str]


def check_bundle(path: Path) -> Report:
    """Looks for damage: every byte of every file by its checksum, and whether the parts fit each other.

    Args:
        path: The bundle's folder.

    Returns:
        What was found. A flipped byte in the database that SQLite does not use is found where the database has a seal
        of its last commit.

    Raises:
        BundleError: There is no bundle.
    """
    bundle = Bundle(path)
    try:
        store = DocumentStore.open(bundle.database)
    except BundleError as error:
        return Report(0, [Fault("documents", str(error))], [])
    try:
        with store.snapshot():
            return _checked(bundle, store)
    except BundleError as error:
        return Report(0, [Fault("documents", str(error))], [])
    finally:
        store.close()


def repair_bundle(path: Path) -> list[str]:
    """Rebuilds postings from the texts, the trie from the docids, and the seal.

    Args:
        path: The bundle's folder.

    Returns:
        The parts that were rebuilt: those whose sources are sound.

    Raises:
        BundleError: There is no bundle, or it cannot be written to.
    """
    bundle = Bundle(path)
    damaged = {fault.part for fault in check_bundle(path).faults}
    broken = sorted(part for part in damaged & set(SOURCES) if not damaged & SOURCES[part])
    if not broken:
        return []
    store = DocumentStore.open(bundle.database)
    try:
        with store.transaction():
            break_seal(path)
            state = State.from_json(store.state, str(path))
            rebuilt = {part: _rebuilt(part, bundle, store, state) for part in broken if part != _SEAL}
            old = [file.name for part in rebuilt for file in state.files[part]]
            files = state.files | {part: [file] for part, file in rebuilt.items()}
            sync(path)
            version = TOKENIZER_VERSION if "bm25" in rebuilt else state.tokenizer
            repaired = replace(state, generation=state.generation + 1, files=files, tokenizer=version)
            store.state = repaired.as_json()
        bundle.remove(old)
        store.vacuum()
        seal_store(bundle, store)
    finally:
        store.close()
    return broken


def _checked(bundle: Bundle, store: DocumentStore) -> Report:
    faults = [Fault("documents", message) for message in store.faults()]
    try:
        fault = broken_seal(bundle.folder, store.image())
    except BundleError as error:
        faults.append(Fault(_SEAL, str(error)))
    else:
        if fault is not None:
            where = f"{bundle.database} is damaged: {fault}"
            sound = "; all documents are sound, so the byte lies where SQLite keeps nothing"
            faults.append(Fault("documents", where) if faults else Fault(_SEAL, where + sound))
    state = State.from_json(store.state, str(bundle.folder))
    for part, files in state.files.items():
        faults += [Fault(part, message) for file in files for message in _file_faults(bundle, file)]
    folders = ("model", bundle.model, state.model_files), ("backbone", bundle.backbone, state.backbone_files)
    for part, folder, digests in folders:
        if digests or folder.exists():
            faults += [
                Fault(part, f"{folder / name} is damaged: it is not the file that was saved")
                for name in changed_files(folder, digests)
            ]
    if not faults:
        faults += list(_misfits(bundle, store))
    named = {*names_of(state.files)}
    leftovers = sorted(name for name in bundle.array_files() if name not in named)
    return Report(len(store.entries()), faults, leftovers)


def _file_faults(bundle: Bundle, file: ArrayFile) -> Iterator[str]:
    try:
        bundle.read(file)
    except BundleError as error:
        yield str(error)


def _misfits(bundle: Bundle, store: DocumentStore) -> Iterator[Fault]:
    """Parts whose bytes are as written and that do not fit each other."""
    try:
        generation = read_generation(bundle, store).generation
    except BundleError as error:
        yield Fault("parts", str(error))
        return
    docid = generation.docid
    if docid is None:
        return
    alive = np.flatnonzero(generation.alive)
    wrong = docid.faults(generation.dense.vectors[alive], alive)
    if len(wrong):
        first = generation.ids[wrong[0]]
        yield Fault(
            "docid", f"{bundle.folder}: {len(wrong)} docids are not those of their vectors, such as {first!r}'s"
        )


def _rebuilt(part: str, bundle: Bundle, store: DocumentStore, state: State) -> ArrayFile:
    def read(name: str) -> list[Arrays]:
        return [bundle.read(file) for file in state.files[name]]

    number = state.generation + 1
    if part == "bm25":
        texts = {key: document.text for key, document in store.documents()}
        keys = np.concatenate([arrays["keys"] for arrays in read("vectors")])
        bm25 = BM25Retriever(Tokenizer(state.config.language)).appended([texts.get(key, "") for key in keys.tolist()])
        return write_arrays(bundle.folder, part, number, bm25.postings.arrays(), len(keys))
    return write_arrays(bundle.folder, part, number, *sorted_trie(read("docid")))
