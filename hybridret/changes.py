"""Changing an index: one writer at a time, one commit for documents and retrievers, in memory or in a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from hybridret import forking
from hybridret.bm25 import TOKENIZER_VERSION
from hybridret.codebooks import Refitted, refit
from hybridret.errors import BundleError
from hybridret.fusion import Ranker
from hybridret.generation import Generation
from hybridret.generative import IndexedDocids
from hybridret.persistence import Committed, bundled_encoder, read_generation, write_files
from hybridret.store import Bundle, DocumentStore, State
from hybridret.store.bundle import BACKBONE_FOLDER, DATABASE, MODEL_FOLDER, model_digests, names_of, sync
from hybridret.store.database import LOCK_SECONDS
from hybridret.store.families import family_keys
from hybridret.store.folders import new_folder
from hybridret.store.seal import SEALED_UP_TO, break_seal, broken_seal, seal_file, seal_store
from hybridret.types import Document, Encoder, FloatArray, IntArray, Progress

Retrained = Callable[[IndexedDocids], IndexedDocids | None]
"""Gives a bundle's docids a new model; None where they are not those that it was trained to."""


class _Change(NamedTuple):
    """What one commit does; see ``Changes.apply``, ``compact``, ``set_ranker`` and ``note``."""

    removed: Sequence[str] = ()
    added: Sequence[Document] = ()
    vectors: FloatArray = np.zeros((0, 0), dtype=np.float32)
    cut: IntArray = np.zeros(0, dtype=np.int64)
    compacts: bool = False
    ranker: Ranker | None = None
    update: Mapping[str, Any] | None = None


class Changes:
    """The state of an index and the way to change it.

    A generation is replaced as a whole, so that whoever searches has one or the other. In a bundle a change holds the
    database's write lock from before it looks at the newest generation until its commit.

    Args:
        store: The documents.
        committed: The generation, and the state that names its files.
        bundle: Where the index lies; None: in memory.
        lock_timeout: Seconds to wait for another process's change.
    """

    def __init__(
        self,
        store: DocumentStore,
        committed: Committed,
        bundle: Bundle | None = None,
        lock_timeout: float = LOCK_SECONDS,
    ) -> None:
        self.store = store
        self.bundle = bundle
        self._committed = committed
        self.lock_timeout = lock_timeout
        self._lock = RLock()
        self._is_lost = False
        forking.register(self)

    @classmethod
    def in_memory(cls, generation: Generation, model: str) -> Changes:
        """Of an index that goes with the process.

        Args:
            generation: The retrievers, without documents.
            model: The encoder's name.
        """
        store = DocumentStore.in_memory()
        state = State(0, 0, generation.config, model, 0, 0, 0, {}, {}, tokenizer=TOKENIZER_VERSION)
        store.state = state.as_json()
        return cls(store, Committed(state, generation))

    @classmethod
    def open(cls, path: Path, lock_timeout: float = LOCK_SECONDS) -> Changes:
        """Of a bundle, in place.

        Raises:
            BundleError: There is no bundle, or it is damaged or of another schema.
        """
        bundle = Bundle(path)
        store = DocumentStore.open(bundle.database, lock_timeout)
        try:
            if bundle.database.stat().st_size <= SEALED_UP_TO and (fault := broken_seal(path, store.image())):
                raise BundleError(f"{bundle.database} is damaged: {fault}")
            return cls(store, read_generation(bundle, store), bundle, lock_timeout)
        except BaseException:
            store.close()
            raise

    def copy(self) -> Changes:
        """The same bundle, opened again; of an index in memory a copy of its own, its generations being shared."""
        if self.bundle is not None:
            return Changes.open(self.bundle.folder, self.lock_timeout)
        with self.held():
            return Changes(self.store.copy_in_memory(), self._committed)

    @property
    def generation(self) -> Generation:
        """The newest generation that this process knows."""
        return self._committed.generation

    @property
    def model(self) -> str:
        """The encoder's name."""
        return self._committed.state.model

    @property
    def state(self) -> State:
        """The state of the newest generation that this process knows."""
        return self._committed.state

    def refresh(self) -> bool:
        """Takes up what other processes have committed.

        Returns:
            Whether another bundle has taken this one's place, with an encoder of its own.

        Raises:
            BundleError: The bundle has been deleted or is damaged.
        """
        if self._is_lost:
            raise BundleError("this process was forked in the middle of a change: open the index after the fork")
        if self.bundle is None:
            return False
        replaced = False
        if not self.bundle.is_in_place():
            replaced = self._reopen()
        if self.store.generation != self.generation.number:
            with self._lock:
                if self.store.generation != self.generation.number:
                    self._committed = read_generation(self.bundle, self.store, self._committed)
        return replaced

    def fork_locks(self) -> Iterator[Any]:
        """What no thread may hold when the process forks."""
        yield self._lock
        yield from self.store.locks

    def forked(self, is_sound: bool) -> None:
        """Goes on in a child process."""
        if is_sound:
            self.store.reconnect()
        else:
            self._is_lost = True
            forking.keep_for_ever(self.store)

    def _reopen(self) -> bool:
        assert self.bundle is not None
        with self._lock:
            if self.bundle.is_in_place():
                return False
            opened = Changes.open(self.bundle.folder, self.lock_timeout)
            self.bundle, self.store, self._committed = opened.bundle, opened.store, opened._committed
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps changes of this and of other processes out."""
        with self._lock, self.store.snapshot():
            yield

    def apply(
        self,
        removed: Sequence[str],
        added: Sequence[Document],
        vectors: FloatArray,
        cut: IntArray,
        progress: Progress | None = None,
        store: DocumentStore | None = None,
    ) -> set[str]:
        """Deletes, then adds, in one commit; nothing has changed where it fails.

        Args:
            removed: Ids to delete, with all chunks of theirs; those that are not present are passed over.
            added: Documents to add.
            vectors: *Shape:* (n_added, dimension), float32, unit length.
            cut: *Shape:* (n_added,), int64, tokens of each that the encoder's window cut off.
            progress: Told how far the work is.
            store: The documents of the bundle whose encoder gave the vectors; None: that cannot be another.

        Returns:
            Those of the ids to delete of which there was something.

        Raises:
            InputError: An added id is present.
            BundleError: The change cannot be made durable.
        """
        return self._commit(_Change(removed, added, vectors, cut), progress, store)

    def compact(self, progress: Progress | None = None) -> None:
        """Writes the index anew without deleted rows, in one commit."""
        self._commit(_Change(compacts=True), progress)

    def set_ranker(self, ranker: Ranker) -> None:
        """Gives the index a ranker, in one commit.

        Raises:
            BundleError: The change cannot be made durable.
        """
        self._commit(_Change(ranker=ranker))

    def note(self, update: Mapping[str, Any]) -> None:
        """Adds to what is told of trainings that went on with new documents, in one commit.

        Raises:
            BundleError: The change cannot be made durable.
        """
        self._commit(_Change(update=update))

    def retrain(
        self,
        encoder: Encoder,
        retrained: Retrained,
        ranker: Ranker | None,
        update: Mapping[str, Any],
        store: DocumentStore,
    ) -> None:
        """Gives a bundle another encoder of queries and another model of the same docids, at once or not at all.

        A whole new bundle takes its place, under its write lock, with what was committed last: readers have the old
        models or the new ones, never some of both.

        Args:
            encoder: Gives documents the vectors that they have; its queries have new ones.
            retrained: Gives docids their new model.
            ranker: How far to trust each retriever now; None: as before.
            update: What is told of the training; see ``State.updates``.
            store: The documents of the bundle that training started from.

        Raises:
            BundleError: The bundle was replaced or its docids were fitted anew meanwhile, or the place cannot be
                written to.
        """
        assert self.bundle is not None
        with self._lock:
            self.refresh()
            with self.store.transaction():
                self._check_in_place()
                before = self.generation
                if store is not self.store:
                    raise BundleError(f"{self.bundle.folder} was replaced by another bundle meanwhile; train again")
                docid = None if before.docid is None else retrained(before.docid)
                if docid is None:
                    raise BundleError(f"the docids of {self.bundle.folder} were fitted anew meanwhile; train again")
                after = replace(before, number=before.number + 1, docid=docid, ranker=ranker or before.ranker)
                state = replace(
                    self.state,
                    generation=after.number,
                    ranker=None if after.ranker is None else after.ranker.as_json(),
                    updates=[*self.state.updates, dict(update)],
                )
                with new_folder(self.bundle.folder) as folder:
                    encoder.save(folder / MODEL_FOLDER)
                    docid.save(folder / BACKBONE_FOLDER)
                    self._write_copy(folder, after, state)
            self._reopen()

    def _write_copy(self, folder: Path, generation: Generation, state: State) -> None:
        """Writes a generation, its documents and its state beside the model that lies in a folder already."""
        files = write_files(folder, generation, None, [])
        self.store.copy_to(folder / DATABASE)
        copy = DocumentStore.open(folder / DATABASE)
        copy.state = replace(
            state,
            files=files,
            model_files=model_digests(folder / MODEL_FOLDER),
            scheme=None if generation.docid is None else generation.docid.written_scheme,
            backbone_files=model_digests(folder / BACKBONE_FOLDER),
            tokenizer=TOKENIZER_VERSION,
        ).as_json()
        copy.close()
        seal_file(folder, folder / DATABASE)

    def _commit(
        self, change: _Change, progress: Progress | None = None, store: DocumentStore | None = None
    ) -> set[str]:
        written: list[str] = []
        refitted = self._refitted(change, progress, store)
        with self._lock:
            self.refresh()
            if store is not None and store is not self.store:
                raise BundleError("the bundle was replaced by another one meanwhile; try again")
            try:
                with ExitStack() as stack:
                    if self.bundle is not None:
                        stack.enter_context(self.store.transaction())
                        self._check_in_place()
                    before = self.generation
                    families = family_keys(self.store, change.removed)
                    gone = {key for keys in families.values() for key in keys}
                    after = before.without(before.rows_of(gone))
                    if change.added:
                        docid = None if refitted is None else refitted.over(before, change.vectors)
                        may_refit = self.bundle is None
                        after = after.appended(change.added, change.vectors, progress, docid, may_refit)
                    after = replace(after, number=before.number + 1, ranker=change.ranker or before.ranker)
                    if self.bundle is None:
                        stack.enter_context(self.store.transaction())
                    else:
                        break_seal(self.bundle.folder)
                    self.store.delete(gone, after.number)
                    self.store.insert(before.next_key, change.added, change.cut)
                    compacts = change.compacts or after.is_worth_compacting
                    if compacts:
                        after = after.compacted((document.text for _, document in self.store.documents()), progress)
                        self.store.forget_deleted()
                    committed = Committed(self._written(after, written, change.update), after)
                    self.store.state = committed.state.as_json()
            except BaseException:
                self._clean_up(written)
                if self.bundle is not None:
                    seal_store(self.bundle, self.store)
                raise
            self._committed = committed
            self._tidy(compacts)
        return set(families)

    def _refitted(self, change: _Change, progress: Progress | None, store: DocumentStore | None) -> Refitted | None:
        """Codebooks that a change makes due, fitted while other writers of the bundle go on; see ``Refitted.over``."""
        if self.bundle is None or not change.added:
            return None
        self.refresh()
        if store is not None and store is not self.store:
            return None
        generation = self.generation
        gone = [key for keys in family_keys(self.store, change.removed).values() for key in keys]
        return refit(generation, generation.rows_of(gone), change.added, change.vectors, progress)

    def _check_in_place(self) -> None:
        """Takes up the newest generation inside a transaction, where no other process can make a newer one."""
        assert self.bundle is not None
        if not self.bundle.is_in_place():
            raise BundleError(f"{self.bundle.folder} was replaced by another bundle meanwhile; try again")
        if self.store.generation != self.generation.number:
            self._committed = read_generation(self.bundle, self.store, self._committed)

    def _written(self, after: Generation, written: list[str], update: Mapping[str, Any] | None) -> State:
        """Writes the files of a generation, and gives the state that names them."""
        state = replace(
            self.state,
            generation=after.number,
            epoch=after.epoch,
            fitted_on=after.fitted_on,
            fitted_at=after.fitted_at,
            next_key=after.next_key,
            ranker=None if after.ranker is None else after.ranker.as_json(),
            updates=[*self.state.updates, *([] if update is None else [dict(update)])],
            tokenizer=TOKENIZER_VERSION,
        )
        if self.bundle is None:
            return state
        self._remove_unnamed(self.bundle.array_files())
        files = write_files(self.bundle.folder, after, self._committed, written)
        sync(self.bundle.folder)
        return replace(state, files=files)

    def _remove_unnamed(self, names: Sequence[str]) -> None:
        """Removes files that the committed state does not name; in a transaction, where no one else writes any."""
        if self.bundle is not None and names:
            with suppress(BundleError):
                named = names_of(State.from_json(self.store.state, str(self.bundle.folder)).files)
                self.bundle.remove([name for name in names if name not in named])

    def _clean_up(self, names: Sequence[str] | None = None) -> None:
        """Removes some unnamed files, or all, unless another process is changing the bundle: its next change does so.

        What it has written and not yet committed is unnamed as well, be it called like files of a change that failed.
        """
        if self.bundle is not None:
            with suppress(BundleError, OSError), self.store.transaction(waits=False):
                self._remove_unnamed(self.bundle.array_files() if names is None else names)

    def _tidy(self, compacted: bool) -> None:
        """What follows a commit and may fail without harm: old files, the space of deleted documents, the seal."""
        if self.bundle is None:
            return
        with suppress(BundleError):
            if compacted:
                self.store.vacuum()
        self._clean_up()
        seal_store(self.bundle, self.store)

    def save(self, path: Path, encoder: Callable[[], Encoder]) -> None:
        """Writes the whole index as a bundle, replacing one that lies there, at once or not at all.

        Args:
            path: Where; where the index lies already, nothing is done.
            encoder: Gives the encoder, whose model goes into the bundle.

        Raises:
            BundleError: Something that is no bundle lies there, or the place cannot be written to.
        """
        if self.bundle is not None and path.resolve() == self.bundle.folder.resolve():
            return
        with new_folder(path, self._held_target(path)) as folder:
            if self.bundle is not None:
                self.bundle.copy_models(folder)
            else:
                encoder().save(folder / MODEL_FOLDER)
                if self.generation.docid is not None:
                    self.generation.docid.save(folder / BACKBONE_FOLDER)
            with self.held():
                if self.bundle is not None:
                    self._check_in_place()
                self._write_copy(folder, self.generation, self.state)

    @contextmanager
    def _held_target(self, path: Path) -> Iterator[None]:
        """Keeps the writers of a bundle out that is about to be replaced; coming again, they find the new one."""
        try:
            store = DocumentStore.open(Bundle(path).database, self.lock_timeout)
        except BundleError:
            yield
            return
        try:
            with store.transaction():
                yield
        finally:
            store.close()

    def bundled_encoder(self) -> Encoder:
        """Loads the encoder that the bundle holds; see ``persistence.bundled_encoder``."""
        assert self.bundle is not None
        return bundled_encoder(self.bundle, self.state)
