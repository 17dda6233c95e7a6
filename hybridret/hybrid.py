"""The retrieval pipeline, free of frameworks: documents in, hits out, durable when it lies on disk."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hybridret.changes import Changes
from hybridret.config import Config
from hybridret.data.chunk import chunk_documents
from hybridret.data.clean import clean_documents, clean_text
from hybridret.encoding import Encoded, Encoding, cleaned_wordings, is_picklable
from hybridret.errors import BundleError, InputError, ModelError
from hybridret.explain import explain
from hybridret.fields import FieldCheck
from hybridret.filtering import FilterCache, StaleError
from hybridret.fingerprint import checked_encoder, load_bundled_encoder
from hybridret.fit import fit_ranker, is_fit_due
from hybridret.fit_cost import check_max_texts, sampled_documents, texts_of_fit
from hybridret.fit_questions import Question, labelled_questions
from hybridret.generation import Generation
from hybridret.generative import IndexedDocids
from hybridret.guard import Budget, obtain
from hybridret.info import describe
from hybridret.ingestion import ingest, warn_of_blank, warn_of_cut
from hybridret.meaning import without_each
from hybridret.search import Search, check_search, search_rows, weights_of
from hybridret.store import DocumentStore, Filter, compile_filter
from hybridret.store.database import LOCK_SECONDS
from hybridret.store.families import family_keys, root_ids
from hybridret.store.folders import check_target
from hybridret.types import CHUNK_MARK, RETRIEVERS, Document, Encoder, FloatArray, Hit, Progress, Queries
from hybridret.understanding import united
from hybridret.vectors import checked_vectors, vectors_of

_log = logging.getLogger(__name__)
_BATCH = 128
_FREE_TRIES = 3
_STORE = "the documents' database"
_T = TypeVar("_T")


class HybridIndex:
    """Documents with three retrievers over them.

    Use ``build``, ``open`` or ``HybridRetriever``; threads may share one index.

    Args:
        changes: The index's state and the way to change it.
        load_encoder: Gives the encoder when it is first needed.
        encoder: The encoder that the caller gave, which copies and pickles take along; None: the bundle holds it.
    """

    def __init__(self, changes: Changes, load_encoder: Callable[[], Encoder], encoder: Encoder | None = None) -> None:
        self._changes, self._given = changes, encoder
        self._encoding = Encoding(changes, load_encoder)
        self._filters = FilterCache()
        self._fields = FieldCheck()
        self._is_closed = False
        self._told_of_cut = False

    @classmethod
    def build(
        cls,
        documents: Iterable[Document],
        encoder: Encoder,
        config: Config | None = None,
        path: Path | None = None,
        progress: Progress | None = None,
        fit: bool = False,
        fit_texts: int | None = None,
        docid: IndexedDocids | None = None,
        chunk: bool = False,
    ) -> HybridIndex:
        """Indexes documents.

        Args:
            documents: What to index, read once; may be none, for documents to come.
            encoder: Encodes documents and queries.
            config: Settings.
            path: Where the bundle shall lie, replacing one that lies there; None: in memory.
            progress: Told how far the work is.
            fit: Whether the fusion is fitted to them; see ``fit``.
            fit_texts: How many texts that may encode; see ``fit``.
            docid: A trained docid retriever without documents, whose scheme gives these their docids; None: an
                untrained one is fitted to them.
            chunk: Whether documents longer than 1,000 characters are split; see ``add``.

        Returns:
            The index; with a path, the bundle opened in place.

        Raises:
            InputError: A document is at fault.
            BundleError: Something that is no bundle lies at the path.
        """
        if path is not None:
            check_target(path)
        check_max_texts(fit_texts)
        start = dataclasses.replace(Generation.empty(config or Config()), docid=docid)
        index = cls._of(Changes.in_memory(start, encoder.name), encoder)
        index.add(documents, chunk=chunk, progress=progress)
        if fit:
            index.fit(progress=progress, max_texts=fit_texts)
        if path is None:
            return index
        index.save(path)
        return cls.open(path, encoder)

    @classmethod
    def open(cls, path: Path, encoder: Encoder | None = None, lock_timeout: float = LOCK_SECONDS) -> HybridIndex:
        """Opens a bundle in place: changes are durable when their calls return.

        Args:
            path: The bundle's folder.
            encoder: The encoder, where the bundle does not hold it or it is loaded already.
            lock_timeout: Seconds that a change waits for another process's change.

        Returns:
            The index.

        Raises:
            BundleError: There is no bundle, or it is damaged or of another schema.
            InputError: The encoder is not the one that the bundle was made with.
        """
        index = cls._of(Changes.open(path, lock_timeout), encoder)
        if encoder is None:
            return index
        with suppress(ModelError):  # it cannot answer now; it is looked at when it is needed
            _ = index.encoder
        return index

    @classmethod
    def _of(cls, changes: Changes, encoder: Encoder | None) -> HybridIndex:
        if encoder is None:
            return cls(changes, lambda: load_bundled_encoder(changes))
        if changes.bundle is None:
            return cls(changes, lambda: encoder, encoder)
        return cls(changes, lambda: checked_encoder(changes, encoder), encoder)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles where the bundle lies, and foreign embeddings where they can be pickled."""
        changes = self._changes
        if changes.bundle is None:
            raise InputError("an index in memory cannot be pickled; save it, open the bundle, and pickle that index")
        given = None if changes.state.model_files or not is_picklable(self._given) else self._given
        return HybridIndex.open, (changes.bundle.folder.resolve(), given, changes.lock_timeout)

    def __copy__(self) -> HybridIndex:
        """An index is shared by shallow copies of what holds it, as by threads."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> HybridIndex:
        """Opens the bundle again, or copies an index in memory; the encoder, which nothing changes, is shared."""
        copied = HybridIndex._of(self._changes.copy(), self._given)
        copied._encoding = self._encoding.for_copy(copied._changes, copied._encoding.load)
        return copied

    @property
    def encoder(self) -> Encoder:
        """The encoder of documents and queries; another one where another bundle has taken this one's place."""
        return self._encoding.encoder

    @property
    def model_name(self) -> str:
        """The encoder's name, known without loading it."""
        return self._changes.model

    @property
    def config(self) -> Config:
        """The settings."""
        return self._changes.generation.config

    @property
    def dimension(self) -> int:
        """The dimension of the vectors; 0 while there are none."""
        return int(self._changes.generation.dense.vectors.shape[1])

    def __len__(self) -> int:
        return self._changes.generation.n_documents

    def close(self) -> None:
        """Closes the database; the index answers nothing any more. Closing it again does nothing."""
        self._is_closed = True
        self._changes.store.close()

    def refresh(self) -> None:
        """Looks at the newest generation that any process has committed; every search does so by itself.

        Raises:
            BundleError: The bundle has been deleted or is damaged, or the index was closed.
        """
        if self._is_closed:
            raise BundleError("the index is closed; open it again")
        self._changes.refresh()

    def add(
        self,
        documents: Iterable[Document],
        *,
        replace: bool = False,
        chunk: bool = False,
        progress: Progress | None = None,
    ) -> list[str]:
        """Adds documents.

        One without a text is kept and never found. A warning is logged of such, and once of documents that are longer
        than the encoder's window.

        Args:
            documents: What to add, read once.
            replace: Whether documents whose ids are present take their place. All chunks of a document make place for
                a new version of it, be that whole or split.
            chunk: Whether documents longer than 1,000 characters are split; see ``data.chunk.chunk_documents``.
            progress: Told how far the work is.

        Returns:
            The ids of the documents as they were given.

        Raises:
            InputError: A document is at fault, or its id is present and ``replace`` is off; nothing was added.
            BundleError: The change cannot be made durable; nothing was added.
        """
        given = clean_documents(documents)
        added = clean_documents(chunk_documents(given)) if chunk else given
        if added:
            self.refresh()
            store = self._changes.store
            store.check(added, replace)
            vectors, cut = ingest(added, self.encoder, progress)
            self._changes.apply(root_ids(added) if replace else [], added, vectors, cut, progress, store)
            warn_of_blank(added)
            self._told_of_cut = self._told_of_cut or warn_of_cut(added, cut, self.encoder.max_tokens)
            self._fit_if_due(progress)
        return [document.doc_id for document in given]

    def delete(self, doc_ids: Sequence[str]) -> list[str]:
        """Deletes documents, with all chunks that they were split into.

        Args:
            doc_ids: Ids of documents, or of single chunks; those that are not present are passed over.

        Returns:
            The ids of which something was there, in the order given.

        Raises:
            InputError: One string was given instead of a list of ids.
            BundleError: The change cannot be made durable; nothing was deleted.
        """
        doc_ids = _listed(doc_ids)
        self.refresh()
        if not family_keys(self._changes.store, doc_ids):
            return []
        removed = self._changes.apply(doc_ids, [], np.zeros((0, 0), dtype=np.float32), np.zeros(0, dtype=np.int64))
        return [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id in removed]

    def compact(self, progress: Progress | None = None) -> None:
        """Writes the index anew without what was deleted; changes do this by themselves when a third of it is dead."""
        self._changes.compact(progress)

    def get(self, doc_ids: Sequence[str]) -> list[Document]:
        """The documents of the ids that are present, in the order asked, none twice.

        A document that was split is given as its chunks, in their order.
        """
        doc_ids = _listed(doc_ids)
        self.refresh()
        with self._changes.store.snapshot():
            whole, chunks = self._changes.store.by_id(doc_ids), self._changes.store.chunks_of(doc_ids)
        found: dict[str, Document] = {}
        for doc_id in doc_ids:
            own = [whole[doc_id]] if doc_id in whole else []
            own += [document for _, document in chunks.get(doc_id, [])]
            found |= {document.doc_id: document for document in own if document.doc_id not in found}
        return list(found.values())

    def ids(self) -> set[str]:
        """The ids of all documents."""
        self.refresh()
        return {doc_id for _, doc_id in self._changes.store.entries()}

    def search(
        self,
        queries: Sequence[str],
        k: int = 10,
        filter: Filter | None = None,
        retrievers: Sequence[str] = RETRIEVERS,
        weights: Mapping[str, float] | None = None,
        diversity: float = 0.0,
        time_budget: float | None = None,
        variants: Sequence[Sequence[str]] | None = None,
        min_score: float | None = None,
        allow_partial_results: bool = True,
    ) -> list[list[Hit]]:
        """Answers queries, encoding them in one pass.

        Args:
            queries: What is asked; a blank one finds nothing.
            k: How many hits a query; fewer where fewer documents match.
            filter: Field to value or to operators, see ``hybridret.store.filters``; only documents whose metadata
                match are considered.
            retrievers: Which take part; the scores of a single one are its own, those of several are fused.
            weights: Weights of the fusion, instead of the index's.
            diversity: From 0, by score alone, to 1, by unlikeness to the hits before alone (maximal marginal
                relevance, Carbonell and Goldstein, SIGIR 1998).
            time_budget: Seconds after which retrievers that have not answered are left out; None or infinity: they are
                waited for.
            variants: Other wordings of each query: vectors are averaged, and words of theirs join the query's for bm25.
            min_score: Hits with a lower score are left out. Scores are from 0 to 1 under ``learned`` and
                ``calibrated``, also where a retriever failed; under another rule nothing is found then. Of a single
                retriever that was asked for it is compared with that one's own scores.
            allow_partial_results: Whether the other retrievers answer where one fails.

        Returns:
            Hits per query, best first; equal scores by document id. A retriever that failed is left out with a warning,
            and ``Hit.failed`` says why; what is left is fused as if it had been asked for, one retriever by its own
            probability of relevance.

        Raises:
            InputError: An argument is out of its range.
            RetrievalError: No retriever could answer, or one failed and partial results are not allowed.
            BundleError: The bundle has been deleted or is damaged, or its documents cannot be read in time.
        """
        search = Search(k, None, retrievers, weights, diversity, min_score, allow_partial_results, Budget(time_budget))
        return [[hit for _, hit in hits] for hits in self._answer(queries, filter, variants, search)[0]]

    def retrieve(
        self,
        queries: Sequence[str],
        k: int = 10,
        filter: Filter | None = None,
        retrievers: Sequence[str] = RETRIEVERS,
        weights: Mapping[str, float] | None = None,
        diversity: float = 0.0,
        time_budget: float | None = None,
        variants: Sequence[Sequence[str]] | None = None,
        min_score: float | None = None,
        allow_partial_results: bool = True,
    ) -> list[list[tuple[Hit, Document]]]:
        """Answers queries as ``search`` does, each hit with its document, all of one generation."""
        search = Search(k, None, retrievers, weights, diversity, min_score, allow_partial_results, Budget(time_budget))
        answers, documents = self._answer(queries, filter, variants, search, with_documents=True)
        return [[(hit, documents[key]) for key, hit in hits] for hits in answers]

    def retrieve_by_vectors(
        self, vectors: Sequence[Sequence[float]], k: int = 10, filter: Filter | None = None
    ) -> list[list[tuple[Hit, Document]]]:
        """Finds the documents whose vectors are nearest to given ones; scores are cosines.

        Args:
            vectors: One a query, as the encoder gives them.
            k: As in ``search``.
            filter: As in ``search``.

        Returns:
            As ``retrieve`` does.

        Raises:
            InputError: An argument is out of its range, or a vector has another dimension than the index.
            BundleError: The bundle has been deleted or is damaged.
        """
        self.refresh()
        made = checked_vectors(vectors, self.dimension)
        answers, documents = self._answer(
            ["vector"] * len(made), filter, None, Search(k, None, ["dense"]), with_documents=True, vectors=made
        )
        return [[(hit, documents[key]) for key, hit in hits] for hits in answers]

    def vectors_of(self, doc_ids: Sequence[str]) -> dict[str, FloatArray]:
        """The vectors of the ids that are present. *Shape:* (dimension,) each, float32, unit length."""
        self.refresh()
        return vectors_of(self._changes, _listed(doc_ids))

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
            of the fused score; for dense also what each token adds, for bm25 what each term adds, for docid the docid
            with its log-probabilities and what each code stands for. Takes as long as encoding the query once a token.

        Raises:
            InputError: The query is blank, or the document is not in the index or outside the filter, which are told
                apart for nobody.
        """
        text = clean_text(query, "the query")
        check_search([text], 1, retrievers, 0.0)
        weights_of(self._changes.generation, weights, retrievers)
        if not text.strip():
            raise InputError("the query is blank")

        encode = self._encoding.of([text], retrievers)
        encode_shortened = self._encoding.of(without_each(text) if "dense" in retrievers else [], ["dense"])

        def explained(is_held: bool) -> dict[str, Any]:
            encoded, shortened = encode(), encode_shortened()
            if encode() is not encoded:
                raise StaleError("the bundle was replaced meanwhile; ask again")
            generation, store = self._changes.generation, self._changes.store
            allowed = self._filters.allowed(filter, generation, store)
            with store.snapshot() as number:
                if number != generation.number:
                    raise StaleError("the index was changed meanwhile; ask again")
                rows = generation.rows_of(store.keys_of([doc_id]).values())
            if not filter and len(rows) and not generation.has_text[rows[0]]:
                raise InputError(f"document {doc_id!r} has no text, so that no search finds it")
            if not len(rows) or (allowed is not None and not allowed.mask[rows[0]]):
                among = " that the filter matches" if filter else ""
                raise InputError(f"no document {doc_id!r} in the index{among}")
            row = int(rows[0])
            return explain(generation, encoded, row, allowed, retrievers, weights, shortened.vectors, store.by_key)

        return self._settled(explained)

    def fit(
        self,
        questions: Mapping[str, Mapping[str, int]] | None = None,
        progress: Progress | None = None,
        max_texts: int | None = None,
    ) -> dict[str, Any]:
        """Learns what this corpus calls for: how far to trust the encoder, and what off-topic questions score.

        Encodes questions, and documents without what was lifted out of them: ``info`` says how many texts that are at
        most. An index that was fitted without labels is fitted again, within the same bound and at the end of the
        addition, when the first documents come and as it grows; see ``hybridret.fit.is_fit_due``.

        Args:
            questions: Labelled questions: text to grade by document id. They change the ranker only where
                cross-validation says beyond doubt that this is better.
            progress: Told how far the work is.
            max_texts: How many texts may be encoded beside the labelled questions; None: as many as the fit can use.

        Returns:
            The report: what was compared and what was decided, as ``info`` shows it.

        Raises:
            InputError: A grade is no whole number, none of the labelled documents is in the index, or ``max_texts``
                is too small for a fit.
            BundleError: The change cannot be made durable.
        """
        checked = {text: _checked_grades(text, grades) for text, grades in (questions or {}).items()}

        def labelled() -> tuple[Generation, DocumentStore, list[Question]]:
            self.refresh()
            generation, store = self._changes.generation, self._changes.store
            with store.snapshot() as number:
                if number != generation.number:
                    raise StaleError("the index was changed meanwhile; ask again")
                return (
                    generation,
                    store,
                    labelled_questions(checked, generation, lambda doc_ids: family_keys(store, doc_ids)),
                )

        generation, store, made = self._settled(lambda _: labelled())
        documents = sampled_documents(store.by_key, generation, max_texts)
        _log.info("the fit encodes %s texts at most", texts_of_fit(len(self), max_texts) + len(made))
        ranker = fit_ranker(generation, documents, self.encoder, made, progress)
        if max_texts is not None:
            ranker = dataclasses.replace(ranker, report={**ranker.report, "max_texts": int(max_texts)})
        self._changes.set_ranker(ranker)
        return dict(ranker.report)

    def threshold(self, let_through: float = 0.1, *, missed: float | None = None) -> float:
        """A least score for answers; see ``Ranker.threshold``.

        Args:
            let_through: The share of off-topic questions for which some document may reach it.
            missed: Instead, the share of right documents that may lie below it, by labelled questions given to ``fit``.

        Returns:
            The score.

        Raises:
            InputError: Nothing was fitted, or to too few questions.
        """
        try:
            return self._changes.generation.applied_ranker.threshold(let_through, missed)
        except ValueError as error:
            raise InputError(str(error)) from error

    def parents(self) -> dict[str, str]:
        """The ids of the documents that were split, by their chunks' ids."""
        self.refresh()
        marked = [doc_id for _, doc_id in self._changes.store.entries() if CHUNK_MARK in doc_id]
        chunks = self._changes.store.by_id(marked).values()
        return {chunk.doc_id: chunk.parent for chunk in chunks if chunk.parent is not None}

    def metadata_fields(self) -> frozenset[str]:
        """Names of the metadata fields that documents have, those in objects with dots: what a filter can ask for.

        The first call takes about half a second per 100,000 documents, later ones look at new documents alone.
        """
        self.refresh()
        return self._filters.field_names(self._changes.generation, self._changes.store)

    def info(self) -> dict[str, Any]:
        """Counts, settings and sizes of the index, as JSON can hold them."""
        self.refresh()
        return describe(self._changes)

    def save(self, path: Path) -> None:
        """Writes the whole index as a bundle, replacing one that lies there, at once or not at all.

        A bundle that is open in place is on disk already: saving it to where it lies does nothing.

        Raises:
            BundleError: Something that is no bundle lies there, or the place cannot be written to.
        """
        self.refresh()
        self._changes.save(path, lambda: self.encoder)

    def _fit_if_due(self, progress: Progress | None) -> None:
        """Fits an index again that has grown; what was added stays where that fails."""
        ranker = self._changes.generation.ranker
        if ranker is None or not is_fit_due(self._changes.generation):
            return
        try:
            self.fit(progress=progress, max_texts=ranker.report.get("max_texts"))
        except Exception as error:
            _log.warning("the fusion could not be fitted to the new documents: %s: %s", type(error).__name__, error)

    def _answer(
        self,
        queries: Sequence[str],
        filter: Filter | None,
        variants: Sequence[Sequence[str]] | None,
        search: Search,
        with_documents: bool = False,
        vectors: FloatArray | None = None,
    ) -> tuple[list[list[tuple[int, Hit]]], dict[int, Document]]:
        """Keys and hits per query, and where they are asked for the documents of the keys, all of one generation."""
        check_search(queries, search.k, search.names, search.diversity, search.min_score)
        asked = [clean_text(query, "a query") for query in queries]
        is_held = False

        def read(part: Callable[[], _T]) -> _T:
            """What the store gives; who keeps changes out waits for it, for no other thread could read."""
            return obtain(_STORE, part, None if is_held else search.budget.left(1.0), self._changes)

        read(self.refresh)
        weights_of(self._changes.generation, search.weights, search.names)
        present = [position for position, text in enumerate(asked) if text.strip()]
        if filter is not None:
            compile_filter(filter)
        if not present or not len(self):
            return [[] for _ in asked], {}
        if filter:
            changes = self._changes
            names = lambda: self._filters.field_names(changes.generation, changes.store)  # noqa: E731
            self._fields.warn(filter, changes.store, names)
        texts = [asked[position] for position in present]
        wordings = None if variants is None else cleaned_wordings(asked, variants, present)
        if wordings is not None:
            texts = [united(each, self._changes.generation.bm25.tokenizer) for each in wordings]
        encode = self._encoding.within(search.budget, texts, search.names, wordings, lambda: read(self.refresh))
        if vectors is not None:
            given = Queries(texts, vectors)
            encode = lambda: Encoded(given, {})  # noqa: E731

        def answered(holds_changes: bool) -> tuple[list[list[tuple[int, Hit]]], dict[int, Document]]:
            nonlocal is_held
            is_held = holds_changes
            encoded, failed = encode()
            generation, store = self._changes.generation, self._changes.store
            allowed = read(lambda: self._filters.allowed(filter, generation, store))
            own = dataclasses.replace(search, k=int(search.k), allowed=allowed, failed=failed, owner=self._changes)
            results: list[list[tuple[int, Hit]]] = [[] for _ in asked]
            for start in range(0, len(present), _BATCH):
                part = Queries(encoded.texts[start : start + _BATCH], encoded.vectors[start : start + _BATCH])
                found = search_rows(generation, part, own)
                for position, hits in zip(present[start : start + _BATCH], found, strict=True):
                    results[position] = [(int(generation.keys[row]), hit) for row, hit in hits]
            if not with_documents:
                return results, {}
            keys = {key for hits in results for key, _ in hits}
            documents = read(lambda: store.by_key(sorted(keys)))
            if len(documents) < len(keys):
                raise StaleError("documents are missing that the index knows")
            return results, documents

        return self._settled(answered)

    def _settled(self, attempt: Callable[[bool], _T]) -> _T:
        """What an attempt gives that meets no change; the last one, which is told so, keeps changes out."""
        for _ in range(_FREE_TRIES):
            try:
                return attempt(False)
            except StaleError:
                continue
        with self._changes.held():
            return attempt(True)


def _listed(doc_ids: Iterable[str]) -> list[str]:
    if isinstance(doc_ids, str):
        raise InputError(f"ids must be a list of strings, not the string {doc_ids!r}")
    return list(doc_ids)


def _checked_grades(text: str, grades: object) -> dict[str, int]:
    if not isinstance(grades, Mapping):
        raise InputError(f"question {text!r} needs a mapping of document id to grade, not {grades!r}")
    return dict(grades)
