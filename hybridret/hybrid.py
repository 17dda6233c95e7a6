"""The retrieval pipeline, free of frameworks: documents in, hits out, durable when it lies on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hybridret.changes import Changes
from hybridret.config import Config
from hybridret.data.chunk import chunk_documents
from hybridret.data.clean import clean_documents, clean_text
from hybridret.encoding import Encoding, cleaned_wordings, encoded_queries, is_picklable
from hybridret.errors import InputError, ModelError
from hybridret.explain import explain
from hybridret.filtering import FilterCache, StaleError
from hybridret.fingerprint import checked_encoder
from hybridret.fit import Question, fit_ranker, labelled_questions
from hybridret.fusion import check_weights
from hybridret.generation import Generation
from hybridret.generative import IndexedDocids
from hybridret.guard import Budget
from hybridret.info import describe
from hybridret.ingestion import ingest, warn_of_blank, warn_of_cut
from hybridret.meaning import without_each
from hybridret.search import Search, check_search, search_rows
from hybridret.store import DocumentStore, Filter, compile_filter
from hybridret.store.documents import LOCK_SECONDS
from hybridret.store.families import family_keys, root_ids
from hybridret.store.folders import check_target
from hybridret.types import RETRIEVERS, Document, Encoder, Hit, Progress, Queries, ScoreArray
from hybridret.understanding import united

_BATCH = 128
_FREE_TRIES = 3
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
        start = dataclasses.replace(Generation.empty(config or Config()), docid=docid)
        index = cls._of(Changes.in_memory(start, encoder.name), encoder)
        index.add(documents, chunk=chunk, progress=progress)
        if fit:
            index.fit(progress=progress)
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
            return cls(changes, changes.bundled_encoder)
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

    def __len__(self) -> int:
        return self._changes.generation.n_documents

    def refresh(self) -> None:
        """Looks at the newest generation that any process has committed; every search does so by itself.

        Raises:
            BundleError: The bundle has been deleted or is damaged.
        """
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
            time_budget: Seconds after which retrievers that have not answered are left out; None: they are waited for.
            variants: Other wordings of each query: vectors are averaged, and words of theirs join the query's for bm25.

        Returns:
            Hits per query, best first; equal scores by document id. A retriever that failed is left out with a warning,
            and ``Hit.failed`` says why; where one alone is left, scores are its own.

        Raises:
            InputError: An argument is out of its range.
            RetrievalError: No retriever could answer.
            BundleError: The bundle has been deleted or is damaged.
        """
        return [
            [hit for _, hit in hits]
            for hits in self._answer(queries, k, filter, retrievers, weights, diversity, time_budget, variants)[0]
        ]

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
    ) -> list[list[tuple[Hit, Document]]]:
        """Answers queries as ``search`` does, each hit with its document, all of one generation."""
        answers, documents = self._answer(
            queries, k, filter, retrievers, weights, diversity, time_budget, variants, with_documents=True
        )
        return [[(hit, documents[key]) for key, hit in hits] for hits in answers]

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
        weighing = self._weighing(weights, retrievers)
        if not text.strip():
            raise InputError("the query is blank")

        encode = self._encoding.of([text], retrievers)
        encode_shortened = self._encoding.of(without_each(text) if "dense" in retrievers else [], ["dense"])

        def explained() -> dict[str, Any]:
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
            return explain(generation, encoded, row, allowed, retrievers, weighing, shortened.vectors, store.by_key)

        return self._settled(explained)

    def fit(
        self,
        questions: Mapping[str, Mapping[str, int]] | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Learns how far to trust each retriever on this corpus, from some 200 questions lifted out of its documents.

        Takes as long as encoding 200 documents. What is added later does not change the ranker.

        Args:
            questions: Labelled questions: text to grade by document id. They change the ranker only where
                cross-validation says beyond doubt that this is better.
            progress: Told how far the work is.

        Returns:
            The report: what was compared and what was shipped, as ``info`` shows it.

        Raises:
            InputError: A grade is no whole number, or none of the labelled documents is in the index.
            BundleError: The change cannot be made durable.
        """
        asked = {text: _checked_grades(text, grades) for text, grades in (questions or {}).items()}

        def labelled() -> tuple[Generation, DocumentStore, list[Question]]:
            self.refresh()
            generation, store = self._changes.generation, self._changes.store
            with store.snapshot() as number:
                if number != generation.number:
                    raise StaleError("the index was changed meanwhile; ask again")
                return generation, store, labelled_questions(asked, generation, store.keys_of)

        generation, store, made = self._settled(labelled)
        ranker = fit_ranker(generation, store.by_key, self.encoder, made, progress)
        self._changes.set_ranker(ranker)
        return dict(ranker.report)

    def threshold(self, missed: float = 0.1) -> float:
        """The score that right documents miss with a probability of at most ``missed``; see ``Ranker.threshold``.

        Raises:
            InputError: Nothing was fitted, or to too few questions.
        """
        try:
            return self._changes.generation.applied_ranker.threshold(missed)
        except ValueError as error:
            raise InputError(str(error)) from error

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

    def _answer(
        self,
        queries: Sequence[str],
        k: int,
        filter: Filter | None,
        retrievers: Sequence[str],
        weights: Mapping[str, float] | None,
        diversity: float,
        time_budget: float | None,
        variants: Sequence[Sequence[str]] | None,
        with_documents: bool = False,
    ) -> tuple[list[list[tuple[int, Hit]]], dict[int, Document]]:
        """Keys and hits per query, and where they are asked for the documents of the keys, all of one generation."""
        check_search(queries, k, retrievers, diversity, time_budget)
        budget = Budget(time_budget)
        asked = [clean_text(query, "a query") for query in queries]
        self.refresh()
        self._weighing(weights, retrievers)
        present = [position for position, text in enumerate(asked) if text.strip()]
        if filter:
            compile_filter(filter)
        if not present or not len(self):
            return [[] for _ in asked], {}
        texts = [asked[position] for position in present]
        wordings = None if variants is None else cleaned_wordings(asked, variants, present)
        if wordings is not None:
            texts = [united(each, self._changes.generation.bm25.tokenizer) for each in wordings]
        encode = self._encoding.of(texts, retrievers, wordings)

        def answered() -> tuple[list[list[tuple[int, Hit]]], dict[int, Document]]:
            encoded, failed = encoded_queries(encode, texts, retrievers, budget)
            generation, store = self._changes.generation, self._changes.store
            search = Search(
                k,
                self._filters.allowed(filter, generation, store),
                retrievers,
                lambda names: self._weighing(weights, names),
                diversity,
                budget,
                failed,
            )
            results: list[list[tuple[int, Hit]]] = [[] for _ in asked]
            for start in range(0, len(present), _BATCH):
                part = Queries(encoded.texts[start : start + _BATCH], encoded.vectors[start : start + _BATCH])
                found = search_rows(generation, part, search)
                for position, hits in zip(present[start : start + _BATCH], found, strict=True):
                    results[position] = [(int(generation.keys[row]), hit) for row, hit in hits]
            if not with_documents:
                return results, {}
            keys = {key for hits in results for key, _ in hits}
            documents = store.by_key(sorted(keys))
            if len(documents) < len(keys):
                raise StaleError("documents are missing that the index knows")
            return results, documents

        return self._settled(answered)

    def _weighing(self, weights: Mapping[str, float] | None, retrievers: Sequence[str]) -> ScoreArray | None:
        """The weights of a rule; None where the ranker fuses."""
        if weights is None and self._changes.generation.learns(retrievers):
            return None
        return check_weights(self.config.weights if weights is None else weights, retrievers)

    def _settled(self, attempt: Callable[[], _T]) -> _T:
        """What an attempt gives that meets no change; the last one keeps changes out."""
        for _ in range(_FREE_TRIES):
            try:
                return attempt()
            except StaleError:
                continue
        with self._changes.held():
            return attempt()


def _listed(doc_ids: Iterable[str]) -> list[str]:
    if isinstance(doc_ids, str):
        raise InputError(f"ids must be a list of strings, not the string {doc_ids!r}")
    return list(doc_ids)


def _checked_grades(text: str, grades: object) -> dict[str, int]:
    if not isinstance(grades, Mapping):
        raise InputError(f"question {text!r} needs a mapping of document id to grade, not {grades!r}")
    return dict(grades)
