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
from hybridret.generation import Candidates, Generation
from hybridret.models import Prompts, load_model
from hybridret.ranking import diversify
from hybridret.store import ArrayFile, Bundle, Condition, DocumentStore, Filter, compile_filter
from hybridret.store.bundle import DATABASE, MODEL_FOLDER, check_target, new_folder, write_arrays
from hybridret.types import (
    RETRIEVERS,
    BoolArray,
    Detail,
    Document,
    Encoder,
    FloatArray,
    Hit,
    IntArray,
    Progress,
    Queries,
    ScoreArray,
)

_CACHED_FILTERS = 64


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

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of documents and queries."""
        return self._load_encoder()

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
        """
        with self._change_lock:
            present = self._store.rows_of(doc_ids)
            if present:
                self._change(list(present), [], np.zeros((0, 0), dtype=np.float32), np.zeros(0, dtype=np.int64))
        return [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id in present]

    def get(self, doc_ids: Sequence[str]) -> list[Document]:
        """The documents of the ids that are present, in the order asked."""
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
        _check_search(queries, k, retrievers, diversity)
        asked = [clean_text(query, "a query") for query in queries]
        generation = self._generation
        weighing = check_weights(self.config.weights if weights is None else weights, retrievers)
        allowed = generation.allowed(None if not filter else self._matching(filter, generation))
        present = [position for position, text in enumerate(asked) if text.strip()]
        results: list[list[Hit]] = [[] for _ in asked]
        if present and generation.n_documents:
            encoded = self._encode([asked[position] for position in present], retrievers)
            found = _search(generation, encoded, k, allowed, retrievers, weighing, diversity)
            for position, hits in zip(present, found, strict=True):
                results[position] = hits
        return results

    def documents(self, hits: Sequence[Hit]) -> list[Document]:
        """The hits' documents; one that was deleted since is left out."""
        found = self._store.by_id([hit.doc_id for hit in hits])
        return [found[hit.doc_id] for hit in hits if hit.doc_id in found]

    def explain(self, query: str, doc_id: str, weights: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Says why a document is where it is for a query.

        Args:
            query: What is asked.
            doc_id: The document, whether or not it would be found.
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
        weighing = check_weights(self.config.weights if weights is None else weights, RETRIEVERS)
        return explain(self._generation, self._encode([text], RETRIEVERS), row, weighing)

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
        try:
            with self._store.transaction():
                after = self._changed(removed, added, vectors, cut, progress)
            self._generation = after
        finally:
            if self._bundle is not None:
                self._bundle.remove_all_but({name for name, *_ in self._store.state["files"].values()})

    def _changed(
        self, removed: list[str], added: list[Document], vectors: FloatArray, cut: IntArray, progress: Progress | None
    ) -> Generation:
        """The generation after a change, written but not yet committed."""
        after = self._generation
        if self._bundle is not None and self._store.state["generation"] != after.number:
            raise BundleError(f"{self._bundle.folder} was changed by another process; load it again")
        rows = list(self._store.rows_of(removed).values())
        if rows:
            self._store.delete(rows)
            after = after.without(rows)
        if added:
            self._store.insert(len(after.ids), added, cut)
            texts = [document.text for document in added]
            after = after.appended([document.doc_id for document in added], texts, vectors, progress)
        if self._bundle is not None:
            files = {part: self._bundle.write(part, after.number, arrays) for part, arrays in after.arrays().items()}
            self._store.state = self._state(after, files)
        return after

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


def _search(
    generation: Generation,
    queries: Queries,
    k: int,
    allowed: BoolArray | None,
    names: Sequence[str],
    weights: ScoreArray,
    diversity: float,
) -> list[list[Hit]]:
    depth = k if len(names) == 1 and not diversity else max(k, generation.config.depth)
    runs = generation.runs(queries, depth, allowed, names)
    pooled = [name for name, weight in zip(names, weights, strict=True) if weight > 0]
    results = []
    for query, candidates in enumerate(generation.candidates(queries, runs, pooled)):
        if len(names) == 1:
            run = runs[names[0]][query]
            places = np.searchsorted(candidates.rows, run.rows)
        else:
            run, places = generation.fuse(candidates, weights, depth if diversity else k)
        picked = (
            diversify(run.scores, generation.dense.vectors[run.rows], k, diversity)
            if diversity
            else range(len(run.rows))
        )
        results.append(
            [
                Hit(
                    generation.ids[run.rows[at]],
                    float(run.scores[at]),
                    _details(names, candidates, int(places[at])),
                )
                for at in picked
            ]
        )
    return results


def _details(names: Sequence[str], candidates: Candidates, place: int) -> dict[str, Detail]:
    scores, ranks = candidates.scores[:, place].tolist(), candidates.ranks[:, place].tolist()
    return {name: Detail(rank or None, score) for name, rank, score in zip(names, ranks, scores, strict=True)}


def _check_search(queries: Sequence[str], k: int, retrievers: Sequence[str], diversity: float) -> None:
    if isinstance(queries, str):
        raise InputError("queries must be a list of strings, not one string")
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise InputError(f"k must be a whole number from 1 up, not {k!r}")
    if isinstance(retrievers, str) or not retrievers or len(set(retrievers)) != len(retrievers):
        raise InputError(f"retrievers must be a list of different names, not {retrievers!r}")
    if unknown := [name for name in retrievers if name not in RETRIEVERS]:
        raise InputError(f"unknown retriever {unknown[0]!r}; known are {', '.join(RETRIEVERS)}")
    if not 0.0 <= diversity <= 1.0:
        raise InputError(f"diversity must be from 0 to 1, not {diversity!r}")


def _bundled_encoder(bundle: Bundle, name: str) -> Encoder:
    if not bundle.model.is_dir():
        raise ModelError(
            f"{bundle.folder} was built with {name}, which a bundle cannot hold; give it as embedding_model"
        )
    model = load_model(str(bundle.model))
    prompts = Prompts(model.prompts.get("query") or "", model.prompts.get("document") or "")
    return TransformerEncoder(model, name, prompts)
