"""Between LangChain's documents and those that an index stores."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_core.documents import Document as LangChainDocument

from hybridret.answers import without_facts
from hybridret.data.chunk import chunk_documents
from hybridret.data.clean import clean_documents
from hybridret.errors import InputError
from hybridret.types import Document


def records_of_texts(
    texts: Iterable[str],
    metadatas: Iterable[Mapping[str, Any]] | None = None,
    ids: Iterable[str | None] | None = None,
    *,
    chunk: bool = False,
) -> list[Document]:
    """Documents for an index; those without an id get a random one.

    Args:
        texts: The texts, read once.
        metadatas: One mapping a text; see ``hybridret.store.metadata.plain_scalar`` for what is stored of dates and
            numpy's numbers.
        ids: One id a text.
        chunk: Whether texts longer than about 1,000 characters are split.

    Raises:
        InputError: The numbers of texts, metadatas and ids differ, or one string was given in place of a list.
    """
    if isinstance(texts, str):
        raise InputError("texts must be a list of strings, not one string")
    listed = list(texts)
    given = [{}] * len(listed) if metadatas is None else _listed("metadatas", metadatas)
    named: list[str | None] = [None] * len(listed) if ids is None else _listed("ids", ids)
    if not len(listed) == len(given) == len(named):
        raise InputError(f"there are {len(listed)} texts, {len(given)} metadatas and {len(named)} ids")
    documents = [
        Document(_new_id() if doc_id is None else doc_id, text, without_facts(metadata or {}))
        for doc_id, text, metadata in zip(named, listed, given, strict=True)
    ]
    return list(chunk_documents(clean_documents(documents))) if chunk else documents


def records_of_documents(
    documents: Iterable[LangChainDocument], ids: Iterable[str | None] | None = None, *, chunk: bool = False
) -> list[Document]:
    """Documents for an index, as ``records_of_texts`` makes them; without ``ids`` under the documents' own.

    What an earlier query said of a document is left out of its metadata.
    """
    if isinstance(documents, LangChainDocument):
        raise InputError("documents must be a list of documents, not one document")
    listed = list(documents)
    if odd := [document for document in listed if not isinstance(document, LangChainDocument)]:
        raise InputError(f"documents must be LangChain documents, not {type(odd[0]).__name__}")
    named = [document.id for document in listed] if ids is None else _listed("ids", ids)
    if len(named) != len(listed):
        raise InputError(f"there are {len(listed)} documents and {len(named)} ids")
    texts = [document.page_content for document in listed]
    return records_of_texts(texts, [document.metadata for document in listed], named, chunk=chunk)


def langchain_document(document: Document) -> LangChainDocument:
    """A stored document as LangChain knows it."""
    return LangChainDocument(id=document.doc_id, page_content=document.text, metadata=document.metadata)


def expanded(path: str | Path) -> Path:
    """A path in which ``~`` stands for the home folder."""
    return Path(path).expanduser()


def _listed(what: str, values: Iterable[Any]) -> list[Any]:
    if isinstance(values, Mapping | str) or not isinstance(values, Iterable) or hasattr(values, "encode"):
        hint = "; an embedding model is given as embedding=" if what == "metadatas" else ""
        raise InputError(f"{what} must be a list with one entry a text, not a {type(values).__name__}{hint}")
    return list(values)


def _new_id() -> str:
    return str(uuid.uuid4())
