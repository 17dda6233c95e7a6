"""Generations on disk: which files a change writes, and how a generation is read, or caught up with, from them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from hybridret.bm25 import TOKENIZER_VERSION
from hybridret.data.clean import has_text
from hybridret.dense import TransformerEncoder
from hybridret.docids import ResidualQuantizer, checked_name, load_scheme
from hybridret.errors import BundleError, InputError, ModelError
from hybridret.fusion import Ranker
from hybridret.generation import Generation
from hybridret.generative import (
    BackboneDocids,
    CodeDecoder,
    DocidRetriever,
    IndexedDocids,
    LanguageModelBackbone,
    LazyBackbone,
    load_backbone,
)
from hybridret.growth import kept_segments
from hybridret.models import load_model
from hybridret.prompts import Prompts
from hybridret.store import ArrayFile, Bundle, DocumentStore, State
from hybridret.store.bundle import changed_files, write_arrays
from hybridret.types import Arrays, BoolArray, FloatArray, IntArray

BY_ROWS = ("vectors", "bm25", "docid")
"""Parts whose files follow each other as rows come; ``trie`` and what is frozen have one file."""
_SCHEMES = ("codebooks", "scheme")
"""Parts that say what docids mean."""

_log = logging.getLogger(__name__)

Files = dict[str, list[ArrayFile]]


class Committed(NamedTuple):
    """A generation and the state that names its files."""

    state: State
    generation: Generation


def write_files(folder: Path, after: Generation, before: Committed | None, written: list[str]) -> Files:
    """Writes what a generation has and the one before has not.

    New rows go to new files, into which the last files are merged where those are small; the other files are kept.

    Args:
        folder: The bundle's folder.
        after: The generation to write.
        before: What is committed; None: nothing is.
        written: The names of the files are added here, each before it is written.

    Returns:
        All files of the generation, by part.

    Raises:
        BundleError: A file cannot be written.
    """
    known: Files = {}
    if before is not None and before.state.epoch == after.epoch:
        known = dict(before.state.files)
        if before.state.tokenizer != TOKENIZER_VERSION:
            known["bm25"] = []
        was, now = before.generation.docid, after.docid
        if was is None or now is None or was.scheme is not now.scheme:
            known |= {"docid": [], "trie": []}
        frozen = dict(_frozen_of(was))
        known |= {part: [] for part, model in _frozen_of(now) if frozen.get(part) is not model}
    files: Files = {}

    def write(part: str, first_row: int, n_rows: int) -> ArrayFile:
        written.append(f"{part}.{after.number}.safetensors")
        return write_arrays(folder, part, after.number, after.arrays(part, first_row), n_rows)

    for part in BY_ROWS:
        old = known.get(part, [])
        sizes = [file.rows for file in old]
        n_new = after.n_rows - sum(sizes)
        if n_new and (part != "docid" or after.docid is not None):
            kept = kept_segments(sizes, n_new)
            first_row = sum(sizes[:kept])
            old = [*old[:kept], write(part, first_row, after.n_rows - first_row)]
        files[part] = old
    if after.docid is not None and after.n_rows:
        n_base = after.docid.base.n_leaves
        trie = known.get("trie", [])
        files |= {part: known.get(part) or [write(part, 0, 0)] for part in after.docid.frozen}
        files["trie"] = trie if trie and trie[0].rows == n_base else [write("trie", 0, n_base)]
    return files


def _frozen_of(docid: IndexedDocids | None) -> Iterable[tuple[str, object]]:
    return () if docid is None else docid.frozen.items()


def read_generation(bundle: Bundle, store: DocumentStore, known: Committed | None = None) -> Committed:
    """Reads the committed generation: only what a known one lacks, where that counts its rows alike.

    Args:
        bundle: The bundle.
        store: Its documents.
        known: A generation of this bundle that was read or written before.

    Returns:
        The generation; retrievers are grown from the known ones. Postings of another version of the tokenizer are not
        read but made anew from the texts.

    Raises:
        BundleError: The bundle is damaged; the message names the file.
    """
    with ExitStack() as stack:
        with store.snapshot():
            state = State.from_json(store.state, str(bundle.folder))
            if known is not None and known.state.epoch != state.epoch:
                known = None
            start = _empty(bundle, state) if known is None else known.generation
            entries = store.entries(start.next_key)
            deleted = store.deleted_after(-1 if known is None else start.number)
            wanted = _missing(state, known)
            texts = _texts_to_tokenize(store, state, start)
            handles = {
                file.name: stack.enter_context(bundle.handle(file)) for files in wanted.values() for file in files
            }
        reader = _Reader(bundle, handles)
        try:
            if texts:
                _log.warning(
                    "%s: the postings of %d documents are of another version of the tokenizer; they are made anew from "
                    "the texts, and written with the next change of the index",
                    bundle.folder,
                    len(texts),
                )
            return Committed(state, _caught_up(reader, store, state, start, wanted, entries, deleted, texts))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, BundleError):
                raise
            raise BundleError(f"{bundle.folder} is damaged: its parts do not fit together: {error}") from error


def _texts_to_tokenize(store: DocumentStore, state: State, start: Generation) -> dict[int, str] | None:
    """The texts, by key, whose postings are of another tokenizer, from the first unknown row on; None: no postings."""
    if state.tokenizer == TOKENIZER_VERSION:
        return None
    return {key: document.text for key, document in store.documents() if key >= start.next_key}


def _empty(bundle: Bundle, state: State) -> Generation:
    try:
        return Generation.empty(state.config)
    except (InputError, TypeError) as error:
        raise BundleError(f"{bundle.folder} is damaged: {error}") from error


class _Reader(NamedTuple):
    bundle: Bundle
    handles: dict[str, BinaryIO]

    def __call__(self, file: ArrayFile) -> Arrays:
        return self.bundle.read(file, self.handles[file.name])


def _missing(state: State, known: Committed | None) -> Files:
    """The files that hold rows after the known ones, and the others where they are new."""
    n_known = 0 if known is None else known.generation.n_rows
    old: Files = {} if known is None else known.state.files
    wanted: Files = {}
    for part, files in state.files.items():
        n_here = n_known
        if part == "docid" and any(state.files.get(each) != old.get(each) for each in _SCHEMES):
            n_here = 0
        ends = np.cumsum([file.rows for file in files])
        is_wanted = ends > n_here if part in BY_ROWS else [file not in old.get(part, []) for file in files]
        wanted[part] = [file for file, wants in zip(files, is_wanted, strict=True) if wants]
    return wanted


def _caught_up(
    reader: _Reader,
    store: DocumentStore,
    state: State,
    start: Generation,
    wanted: Files,
    entries: Sequence[tuple[int, str]],
    deleted: IntArray,
    texts: Mapping[int, str] | None,
) -> Generation:
    n_rows = sum(file.rows for file in state.files.get("vectors", []))
    if any(sum(file.rows for file in state.files.get(part, [])) != n_rows for part in BY_ROWS if n_rows):
        raise ValueError("the parts have different numbers of rows")
    dense, bm25, docid, keys = start.dense, start.bm25, start.docid, [start.keys[:0]]
    skipped = _skipped(state.files.get("vectors", []), wanted.get("vectors", []), start.n_rows)
    for file in wanted.get("vectors", []):
        vectors, found = _vectors(reader(file), file.rows)
        keys.append(found[skipped:])
        dense, skipped = dense.appended(vectors[skipped:]), 0
    new_keys = np.concatenate(keys)
    if texts is not None:
        bm25 = bm25.appended([texts.get(key, "") for key in new_keys.tolist()])
    else:
        skipped = _skipped(state.files.get("bm25", []), wanted.get("bm25", []), start.n_rows)
        for file in wanted.get("bm25", []):
            bm25, skipped = bm25.joined(reader(file), skipped), 0
    docid = _docid(reader, state, wanted, start)
    if docid is None and n_rows:
        raise ValueError("nothing says what the docids mean")
    n_docids = 0 if docid is None else len(docid.codes)
    if not len(bm25.postings.lengths) == start.n_rows + len(new_keys) == n_docids == n_rows:
        raise ValueError("the parts have different numbers of rows")
    if docid is not None and docid.scheme.dimension not in (None, dense.vectors.shape[1]):
        raise ValueError("the docid scheme has another dimension than the vectors")
    ends = (start.next_key - 1, *new_keys.tolist(), state.next_key)
    if any(key >= following for key, following in pairwise(ends)):
        raise ValueError("the keys of the documents are not in order")
    names = dict(entries)
    if not all(names.values()):
        raise ValueError("a document has an empty id")
    ids = [names.pop(key, "") for key in new_keys.tolist()]
    if names:
        raise ValueError("there are documents without vectors")
    have_text = _with_text(store, new_keys, bm25.postings.lengths[start.n_rows :])
    grown = start.grown(new_keys, ids, have_text, dense, bm25, docid)
    gone = [row for row, doc_id in enumerate(ids, start.n_rows) if not doc_id]
    rows = grown.rows_of(deleted)
    if rows[rows >= start.n_rows].tolist() != gone:
        raise ValueError("the documents that are gone are not those that were deleted")
    return replace(
        grown.without(rows[grown.alive[rows]]),
        number=state.generation,
        ranker=None if state.ranker is None else Ranker.from_json(state.ranker),
        epoch=state.epoch,
        config=state.config,
        next_key=state.next_key,
        fitted_on=state.fitted_on,
        fitted_at=state.fitted_at,
    )


def _with_text(store: DocumentStore, keys: IntArray, lengths: IntArray) -> BoolArray:
    """Marks documents that have a text: of those without a single term the texts are looked at.

    *Shapes:* (n,), the documents' keys and how many terms each has, to (n,).
    """
    marks = np.ones(len(keys), dtype=np.bool_)
    without_terms = np.flatnonzero(lengths == 0)
    documents = store.by_key(keys[without_terms].tolist())
    for row in without_terms.tolist():
        document = documents.get(int(keys[row]))
        marks[row] = document is None or has_text(document.text)
    return marks


def _docid(reader: _Reader, state: State, wanted: Files, start: Generation) -> IndexedDocids | None:
    docid = _frozen(reader, state, wanted, start.docid)
    if docid is None:
        return None
    skipped = _skipped(state.files["docid"], wanted["docid"], len(docid.codes))
    for file in wanted["docid"]:
        arrays = reader(file)
        codes, suffixes = arrays["codes"][skipped:], arrays["suffixes"][skipped:]
        docid, skipped = docid.joined(codes, suffixes), 0
    for file in wanted.get("trie", []):
        docid = docid.with_base(reader(file))
    return docid


def _frozen(reader: _Reader, state: State, wanted: Files, known: IndexedDocids | None) -> IndexedDocids | None:
    """The known docid retriever, or one without rows where its frozen parts are new."""
    for file in wanted.get("scheme", []):
        lazy = LazyBackbone(lambda: bundled_backbone(reader.bundle, state))
        name = checked_name(state.scheme)
        return BackboneDocids(name, load_scheme(name, reader(file), lazy), lazy)
    for file in wanted.get("codebooks", []):
        known = DocidRetriever(ResidualQuantizer.from_arrays(reader(file)))
    for file in wanted.get("decoder", []):
        if not isinstance(known, DocidRetriever):
            raise ValueError("there is a decoder without codebooks")
        known = known.with_decoder(_decoder(reader(file)))
    return known


def bundled_encoder(bundle: Bundle, state: State) -> TransformerEncoder:
    """Loads the encoder that a bundle holds.

    Raises:
        ModelError: The bundle holds none, or its files are not those that were saved.
    """
    if not state.model_files:
        raise ModelError(
            f"{bundle.folder} was built with {state.model}, which a bundle cannot hold; give it as embedding_model"
        )
    for name in changed_files(bundle.model, state.model_files):
        raise ModelError(f"{bundle.model / name} is damaged: it is not the file that was saved")
    model = load_model(str(bundle.model))
    prompts = Prompts(model.prompts.get("query") or "", model.prompts.get("document") or "")
    return TransformerEncoder(model, state.model, prompts)


def bundled_backbone(bundle: Bundle, state: State) -> LanguageModelBackbone:
    """Loads the backbone that a bundle holds.

    Raises:
        ModelError: Its files are not those that were saved, or not those of a backbone.
    """
    for name in changed_files(bundle.backbone, state.backbone_files):
        raise ModelError(f"{bundle.backbone / name} is damaged: it is not the file that was saved")
    return load_backbone(bundle.backbone)


def _decoder(arrays: Arrays) -> CodeDecoder:
    if any(arrays[name].dtype != np.float32 for name in ("tables", "scales")):
        raise ValueError("the decoder's numbers are of another kind")
    return CodeDecoder(arrays["tables"], arrays["scales"])


def _skipped(files: Sequence[ArrayFile], wanted: Sequence[ArrayFile], n_known: int) -> int:
    """How many rows of the first wanted file are known already."""
    return n_known - (sum(file.rows for file in files) - sum(file.rows for file in wanted)) if wanted else 0


def _vectors(arrays: Arrays, n_rows: int) -> tuple[FloatArray, IntArray]:
    vectors, keys = arrays["vectors"], arrays["keys"]
    if vectors.dtype != np.float32 or vectors.ndim != 2 or keys.dtype != np.int64:
        raise ValueError("the vectors are none")
    if len(vectors) != n_rows or keys.shape != (n_rows,) or not np.isfinite(vectors).all():
        raise ValueError("the vectors are not as many numbers as there are rows")
    return vectors, keys
