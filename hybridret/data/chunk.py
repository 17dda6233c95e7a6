"""Splitting long documents into chunks that know their parent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hybridret.errors import InputError
from hybridret.types import CHUNK, PARENT, Chunk, Document, chunk_id

CHUNK_CHARACTERS = 1000
OVERLAP_CHARACTERS = 100


class Chunking(NamedTuple):
    """How long texts are split.

    Attributes:
        size: Characters of a chunk at most.
        overlap: Characters at most that a chunk shares with the one before.
    """

    size: int = CHUNK_CHARACTERS
    overlap: int = OVERLAP_CHARACTERS


USUAL_CHUNKING = Chunking()


def check_chunking(chunking: Chunking) -> Chunking:
    """Checks sizes that a user gave.

    Raises:
        InputError: The size is below 1, or the overlap is not smaller than it.
    """
    if chunking.size < 1:
        raise InputError(f"the size of chunks must be 1 character or more, not {chunking.size}")
    if not 0 <= chunking.overlap < chunking.size:
        raise InputError(
            f"the overlap of chunks must be from 0 up and below their size, {chunking.size}, not {chunking.overlap}"
        )
    return chunking


def chunk_documents(
    documents: Iterable[Document], markdown: bool = False, chunking: Chunking = USUAL_CHUNKING
) -> Iterator[Document]:
    """Splits documents at paragraphs, lines, sentences or words, whichever keeps a chunk within its size.

    Args:
        documents: What to split.
        markdown: Whether headings and code fences are preferred places.
        chunking: The size of chunks, and how much neighbours share.

    Yields:
        A document that fits as it is; else all of its chunks, with ids ``PARENT#0``, ``PARENT#1`` and so on, and the
        parent's id and the chunk's number in the metadata ``parent`` and ``chunk``. An index that is given them
        replaces and deletes them by the parent's id, all together.

    Raises:
        InputError: A document that must be split has a metadata field ``parent`` or ``chunk`` of its own.
    """
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    separators = (
        RecursiveCharacterTextSplitter.get_separators_for_language(Language.MARKDOWN)
        if markdown
        else ["\n\n", "\n", ". ", "。", " ", ""]
    )
    splitter = RecursiveCharacterTextSplitter(
        separators, chunk_size=chunking.size, chunk_overlap=chunking.overlap, is_separator_regex=markdown
    )
    for document in documents:
        chunks = splitter.split_text(document.text)
        if len(chunks) < 2:
            yield document
            continue
        if taken := [field for field in (PARENT, CHUNK) if field in document.metadata]:
            raise InputError(
                f"document {document.doc_id!r} is too long for one chunk, and its metadata field {taken[0]!r} is what "
                "its chunks say of themselves; give the field another name"
            )
        for number, text in enumerate(chunks):
            metadata = {**document.metadata, PARENT: document.doc_id, CHUNK: number}
            yield Chunk(chunk_id(document.doc_id, number), text, metadata)
