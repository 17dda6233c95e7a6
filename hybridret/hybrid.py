"""The retrieval pipeline, free of frameworks: documents in, hits out, durable when it lies on disk."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from threading import Lock, RLock
from typing import Any

import numpy as np

from hybridret.config import Config
from hybridret.data.clean import clean_documents, clean_text
from hybridret.dense import TransformerEncoder
from hybridret.errors import BundleError, InputError, ModelError
from hybridret.explain import explain
from hybridret.fusion import check_weights
from hybridret.generation import Generation
from hybridret.models import Prompts, load_model
from hybridret.search import check_search, search_rows
from hybridret.store import ArrayFile, Bundle, Condition, DocumentStore, Filter, compile_filter
from hybridret.store.bundle import DATABASE, MODEL_FOLDER, check_target, new_folder, write_arrays
from hybridret.types import (
    RETRIEVERS,
    BoolArray,
    Document,
    Encoder,
    FloatArray,
    Hit,
    IntArray,
    Progress,
    Queries,
)

_CACHED_FILTERS = 64
_BATCH = 128


class HybridIndex:
    """Documents with three retrievers over them.

    Use ``build``, ``open`` or ``HybridRetriever``; threads may share one index.

    Args:
        store: The documents.
        generation: The retrievers' state.
        load_encoder: Gives the encoder when it is first needed.
        bundle: Where the index lies; None: in memory.
    """

    def __init__(
        self,
        store: DocumentStore,
        generation: Generation,
        load_encoder: Callable[[], Encoder],
        bundle: Bundle | None = None,
    ) -> None:
        self._store = store
        self._generation = generation
        self._load_encoder = load_encoder
        self._bundle = bundle
        self._change_lock = RLock()
        self._encoder_lock = Lock()
        self._encoder: Encoder | None = None
        self._filter_lock = Lock()
        self._filters: OrderedDict[tuple[int, Condition], BoolArray] = OrderedDict()

    @classmethod
    def build(
        cls,
        documents: Iterable[Document],
        encoder: Encoder,
        config: Config | None = None,
        path: Path | None = None,
        progress: Progress | None = None,
    ) -> HybridIndex:
        """Indexes documents.

        Args:
            documents: What to index, read once; may be none, for documents to come.
            encoder: Encodes documents and queries.
            config: Settings.
            path: Where the bundle shall lie, replacing one that lies there; None: in memory.
            progress: Told how far the work is.

        Returns:
            The index; with a path, the bundle opened in place.

        Raises:
            InputError: A document is at fault.
            BundleError: Something that is no bundle lies at the path.
        """
        if path is not None:
            check_target(path)
        index = cls(DocumentStore.in_memory(), Generation.empty(config or Config()), lambda: encoder)
        index.add(documents, progress=progress)
        if path is None:
            return index
        index.save(path)
        return cls.open(path, encoder)

    @classmethod
    def open(cls, path: Path, encoder: Encoder | None = None) -> HybridIndex:
        """Opens a bundle in place: changes are durable when their calls return.

        Args:
            path: The bundle's folder.
            encoder: The encoder, where the bundle does not hold it or it is loaded already.

        Returns:
            The index.

        Raises:
            BundleError: There is no bundle, or it is damaged or of a newer schema.
        """
        bundle = Bundle(path)
        store = DocumentStore.open(bundle.database)
        try:
            state = store.state
            parts = {part: bundle.read(ArrayFile(*file)) for part, file in state["files"].items()}
            generation = Generation.from_arrays(
                state["generation"], Config(**state["config"]), store.all_rows(), parts, state["fitted_on"]
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            store.close()
            raise BundleError(f"{path} is damaged: {error}") from error
        except BundleError:
            store.close()
            raise

        def load_encoder() -> Encoder:
            return _bundled_encoder(bundle, state["model"]) if encoder is None else encoder

        return cls(store, generation, load_encoder, bundle)

    @property
    def encoder(self) -> Encoder:
        """The encoder of documents and queries."""
        with self._encoder_lock:
            if self._encoder is None:
                self._encoder = self._load_encoder()
            return self._encoder

    @cached_property
    def model_name(self) -> str:
        """The encoder's name, known without loading it."""
        return self.encoder.name if self._bundle is None else str(self._store.state["model"])

    @property
    def config(self) -> Config:
        """The settings."""
        return self._generation.config

    def __len__(self) -> int:
        return self._generation.n_documents

    def add(
        self, documents: Iterable[Document], *, replace: bool = False, progress: Progress | None = None
    ) -> list[str]:
        """Adds documents.

        Args:
            documents: What to add, read once.
            replace: Whether documents whose ids are present take their place.
            progress: Told how far the work is.

        Returns:
            The ids.

        Raises:
            InputError: A document is at fault, or its id is present and ``replace`` is off; nothing was added.
        """
        added = clean_documents(documents)
        if added:
            self._store.check(added, replace)
            texts = [document.text for document in added]
            vectors = self.encoder.encode_documents(texts, progress)
            cut = self.encoder.count_cut_tokens(texts)
            with self._change_lock:
                self._change([document.doc_id for document in added] if replace else [], added, vectors, cut, progress)
        return [document.doc_id for document in added]

    def delete(self, doc_ids: Sequence[str]) -> list[str]:
        """Deletes documents.

        Args:
            doc_ids: Ids; those that are not present are passed over.

        Returns:
            The ids that were present.

        Raises:
            InputError: One string was given instead of a list of ids.
        """
        doc_ids = _listed(doc_ids)
        with self._change_lock:
            present = self._store.rows_of(doc_ids)
            if present:
                self._change(list(present), [], np.zeros((0, 0), dtype=np.float32), np.zeros(0, dtype=np.int64))
        return [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id in present]

    def get(self, doc_ids: Sequence[str]) -> list[Document]:
        """The documents of the ids that are present, in the order asked."""
        doc_ids = _listed(doc_ids)
        found = self._store.by_id(doc_ids)
        return [found[doc_id] for doc_id in dict.fromkeys(doc_ids) if doc_id in found]

    def ids(self) -> set[str]:
        """The ids of all documents."""
        return {doc_id for _, doc_id in self._store.all_rows()}

    def search(
        self,
        queries: Sequence[str],
        k: int = 10,
        filter: Filter | None = None,
        retrievers: Sequence[str] = RETRIEVERS,
        weights: Mapping[str, float] | None = None,
        diversity: float = 0.0,
    ) -> list[list[Hit]]:
        """Answers queries, encoding them in one pass.

        Args:
            queries: What is asked; a blank one finds nothing.
            k: How many hits a query; fewer where fewer documents match.
            filter: Field to value; only documents whose metadata match are considered.
            retrievers: Which take part; the scores of a single one are its own, those of several are fused.
            weights: Weights of the fusion, instead of the index's.
            diversity: From 0, by score alone, to 1, by unlikeness to the hits before alone (maximal marginal
                relevance, Carbonell and Goldstein, SIGIR 1998).

        Returns:
            Hits per query, best first; equal scores by document id.

        Raises:
            InputError: An argument is out of its range.
        """
        check_search(queries, k, retrievers, diversity)
        asked = [clean_text(query, "a query") for query in queries]
        generation = self._generation
        weighing = check_weights(self.config.weights if weights is None else weights, retrievers)
        allowed = generation.allowed(None if not filter else self._matching(filter, generation))
        present = [position for position, text in enumerate(asked) if text.strip()]
        results: list[list[Hit]] = [[] for _ in asked]
        if present and generation.n_documents:
            encoded = self._encode([asked[position] for position in present], retrievers)
            for start in range(0, len(present), _BATCH):
                part = Queries(encoded.texts[start : start + _BATCH], encoded.vectors[start : start + _BATCH])
                found = search_rows(generation, part, k, allowed, retrievers, weighing, diversity)
                for position, hits in zip(present[start : start + _BATCH], found, strict=True):
                    results[position] = hits
        return results

    def documents(self, hits: Sequence[Hit]) -> list[Document]:
        """The hits' documents; one that was deleted since is left out."""
        found = self._store.by_id([hit.doc_id for hit in hits])
        return [found[hit.doc_id] for hit in hits if hit.doc_id in found]

    def explain(
        self,
        query: str,
        doc_id: str,
        filter: Filter | None = None,
        retrievers: Sequence[str] = RETRIEVERS,
        weights: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Says why a document is where it is for a query.

        Args:
            query: What is asked.
            doc_id: The document, whether or not it would be found.
            filter: As in ``search``: other documents take no rank.
            retrievers: Which take part.
            weights: Weights of the fusion, instead of the index's.

        Returns:
            The fused score and the rank among the candidates, and per retriever its score, rank, weight and share
            of the fused score; for bm25 also what each term adds, for docid the docid with its log-probabilities.

        Raises:
            InputError: The query is blank or the document is not in the index.
        """
        text = clean_text(query, "the query")
        row = self._store.rows_of([doc_id]).get(doc_id)
        if row is None or not text.strip():
            raise InputError(f"no document {doc_id!r} in the index" if row is None else "the query is blank")
        generation = self._generation
        check_search([text], 1, retrievers, 0.0)
        weighing = check_weights(self.config.weights if weights is None else weights, retrievers)
        allowed = generation.allowed(None if not filter else self._matching(filter, generation))
        if allowed is not None and not allowed[row]:
            raise InputError(f"document {doc_id!r} does not match the filter")
        return explain(generation, self._encode([text], retrievers), row, allowed, retrievers, weighing)

    def info(self) -> dict[str, Any]:
        """Counts, settings and sizes of the index, as JSON can hold them."""
        generation, n = self._generation, max(len(self), 1)
        docid, (cut_documents, cut_tokens) = generation.docid, self._store.cut()
        sizes = {part: sum(array.nbytes for array in arrays.values()) for part, arrays in generation.arrays().items()}
        return {
            "documents": len(self),
            "deleted_rows": len(generation.ids) - len(self),
            "generation": generation.number,
            "path": None if self._bundle is None else str(self._bundle.folder),
            "model": self.model_name,
            "dimension": int(generation.dense.vectors.shape[1]),
            "config": asdict(self.config),
            "docid": None
            if docid is None
            else {
                "levels": docid.quantizer.n_levels,
                "codes": docid.quantizer.n_codes,
                "codes_clamped": docid.quantizer.n_codes < self.config.docid_codes,
                "with_suffix": int((docid.suffixes[generation.alive] >= 0).sum()),
            },
            "cut_by_window": {"documents": cut_documents, "tokens": cut_tokens},
            "bytes_per_document": {part: round(size / n, 1) for part, size in sizes.items()},
        }

    def save(self, path: Path) -> None:
        """Writes the whole index as a bundle, replacing one that lies there, at once or not at all.

        A bundle that is open in place is on disk already: saving it to where it lies does nothing.

        Raises:
            BundleError: Something that is no bundle lies there, or the place cannot be written to.
        """
        if self._bundle is not None and path.resolve() == self._bundle.folder.resolve():
            return
        with self._change_lock, new_folder(path) as folder:
            generation = self._generation
            self._save_model(folder / MODEL_FOLDER)
            files = {
                part: write_arrays(folder, part, generation.number, arrays)
                for part, arrays in generation.arrays().items()
            }
            self._store.copy_to(folder / DATABASE)
            copy = DocumentStore.open(folder / DATABASE)
            copy.state = self._state(generation, files)
            copy.close()

    def _save_model(self, folder: Path) -> None:
        if self._bundle is not None and self._bundle.model.is_dir():
            shutil.copytree(self._bundle.model, folder)
        else:
            self.encoder.save(folder)

    def _change(
        self,
        removed: list[str],
        added: list[Document],
        vectors: FloatArray,
        cut: IntArray,
        progress: Progress | None = None,
    ) -> None:
        """Deletes, then adds, in one transaction; nothing has changed where it fails."""
        before = self._generation
        rows = list(self._store.rows_of(removed).values())
        after = before.without(rows) if rows else before
        if added:
            texts = [document.text for document in added]
            after = after.appended([document.doc_id for document in added], texts, vectors, progress)
        written: list[str] = []
        try:
            with self._store.transaction():
                old = self._files(before)
                self._store.delete(rows)
                self._store.insert(len(before.ids), added, cut)
                if self._bundle is not None:
                    self._bundle.remove([name for name in self._bundle.array_files() if name not in old])
                    files = {}
                    for part, arrays in after.arrays().items():
                        files[part] = self._bundle.write(part, after.number, arrays)
                        written.append(files[part].name)
                    self._store.state = self._state(after, files)
        except BaseException:
            self._remove(written)
            raise
        self._generation = after
        self._remove(old)

    def _files(self, generation: Generation) -> list[str]:
        """The array files of a generation that must be the committed one; none in memory."""
        if self._bundle is None:
            return []
        state = self._store.state
        if state["generation"] != generation.number:
            raise BundleError(f"{self._bundle.folder} was changed by another process; load it again")
        return [name for name, *_ in state["files"].values()]

    def _remove(self, names: Sequence[str]) -> None:
        if self._bundle is not None:
            self._bundle.remove(names)

    def _state(self, generation: Generation, files: dict[str, ArrayFile]) -> dict[str, Any]:
        return {
            "generation": generation.number,
            "config": asdict(generation.config),
            "model": self.model_name,
            "fitted_on": generation.fitted_on,
            "files": files,
        }

    def _encode(self, texts: list[str], retrievers: Sequence[str]) -> Queries:
        if set(retrievers) <= {"bm25"}:
            return Queries(texts, np.zeros((len(texts), 0), dtype=np.float32))
        vectors = self.encoder.encode_queries(texts)
        width = self._generation.dense.vectors.shape[1]
        if vectors.shape[1] != width:
            raise ModelError(f"the encoder gives {vectors.shape[1]} dimensions, the index has {width}: another model?")
        return Queries(texts, vectors)

    def _matching(self, filter: Filter, generation: Generation) -> BoolArray:
        condition = compile_filter(filter)
        key = (generation.number, condition)
        with self._filter_lock:
            if key not in self._filters:
                self._filters[key] = self._store.matching(condition, len(generation.ids))
            self._filters.move_to_end(key)
            while len(self._filters) > _CACHED_FILTERS:
                self._filters.popitem(last=False)
            return self._filters[key]


def _listed(doc_ids: Iterable[str]) -> list[str]:
    if isinstance(doc_ids, str):
        raise InputError(f"ids must be a list of strings, not the string {doc_ids!r}")
    return list(doc_ids)


def _bundled_encoder(bundle: Bundle, name: str) -> Encoder:
    if not bundle.model.is_dir():
        raise ModelError(
            f"{bundle.folder} was built with {name}, which a bundle cannot hold; give it as embedding_model"
        )
    model = load_model(str(bundle.model))
    prompts = Prompts(model.prompts.get("query") or "", model.prompts.get("document") or "")
    return TransformerEncoder(model, name, prompts)
