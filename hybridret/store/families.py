"""A document and the chunks that it was split into: what is done to it is done to all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hybridret.errors import InputError
from hybridret.types import Chunk, Document

if TYPE_CHECKING:
    from hybridret.store.documents import DocumentStore


def root_ids(documents: Iterable[Document]) -> list[str]:
    """The ids whose documents, chunks included, such documents would take the place of: a chunk's is its parent's.

    A document that is given by itself under the id of a chunk takes the place of that chunk alone.
    """
    parents = ((each.parent if isinstance(each, Chunk) else None, each.doc_id) for each in documents)
    return list(dict.fromkeys(parent or doc_id for parent, doc_id in parents))


def family_keys(store: DocumentStore, doc_ids: Sequence[str]) -> dict[str, list[int]]:
    """The keys of documents and of all their chunks, by the id that was given; ids of nothing are left out."""
    keys, chunks = store.keys_of(doc_ids), store.chunks_of(doc_ids)
    families: dict[str, list[int]] = {}
    for doc_id in dict.fromkeys(doc_ids):
        own = [keys[doc_id]] if doc_id in keys else []
        own += [key for key, _ in chunks.get(doc_id, [])]
        if own:
            families[doc_id] = own
    return families


def check_ids(store: DocumentStore, documents: Sequence[Document], may_replace: bool) -> None:
    """Checks that documents can be inserted under their ids.

    Args:
        store: What is there.
        documents: What shall be inserted.
        may_replace: Whether documents whose ids are present, and all of their chunks, make place.

    Raises:
        InputError: An id is taken.
    """
    roots = root_ids(documents)
    families = family_keys(store, roots)
    if families and not may_replace:
        doc_id, keys = next(iter(families.items()))
        parts = "" if doc_id in store.keys_of([doc_id]) else f", as {len(keys)} chunks"
        raise InputError(f"document id {doc_id!r} is in the index already{parts}; use upsert to replace it")
    chunks = [document for document in documents if isinstance(document, Chunk)]
    replaced = {key for keys in families.values() for key in keys}
    for doc_id, key in store.keys_of([chunk.doc_id for chunk in chunks]).items():
        if key not in replaced:
            parent = next(chunk.parent for chunk in chunks if chunk.doc_id == doc_id)
            raise InputError(
                f"document {parent!r} is split into chunks, and the id of one of them, {doc_id!r}, is that of another "
                "document in the index; give one of the two another id"
            )
