"""Chunks fit, cover their parent and know it."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.data.chunk import CHUNK_CHARACTERS, chunk_documents
from hybridret.types import Document


def test_a_short_document_stays_as_it_is() -> None:
    documents = [Document("a", "short", {"x": 1}), Document("b", "", {}), Document("c", "y" * CHUNK_CHARACTERS, {})]
    assert list(chunk_documents(documents)) == documents


def test_a_long_document_becomes_numbered_chunks_that_know_their_parent() -> None:
    parent = Document("a", "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(10)), {"x": 1})
    chunks = list(chunk_documents([parent]))
    assert len(chunks) > 2
    for number, chunk in enumerate(chunks):
        assert chunk.doc_id == f"a#{number}"
        assert chunk.metadata == {"x": 1, "parent": "a", "chunk": number}
        assert chunk.text.startswith("Paragraph")
    assert parent.metadata == {"x": 1}


def test_markdown_is_split_at_headings() -> None:
    text = "\n".join(f"# Heading {number}\n\n" + "word " * 150 for number in range(4))
    chunks = list(chunk_documents([Document("a", text, {})], markdown=True))
    assert [chunk.text.startswith("# Heading") for chunk in chunks] == [True] * 4


def test_chinese_is_split_after_sentences() -> None:
    text = ("猫" * 98 + "。") * 30
    chunks = list(chunk_documents([Document("a", text, {})]))
    assert all(len(chunk.text) <= CHUNK_CHARACTERS for chunk in chunks)
    assert all(len(chunk.text.strip("。")) % 99 in (0, 98) for chunk in chunks)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("ab .\n", min_size=1, max_size=400), min_size=1, max_size=12))
def test_chunks_fit_and_no_word_is_lost(parts: list[str]) -> None:
    parent = Document("a", " w0 ".join(parts), {})
    chunks = list(chunk_documents([parent]))
    if len(chunks) > 1:
        assert all(0 < len(chunk.text) <= CHUNK_CHARACTERS for chunk in chunks)
    letters = re.sub(r"[\s.]", "", parent.text)
    found = "".join(re.sub(r"[\s.]", "", chunk.text) for chunk in chunks)
    assert len(found) >= len(letters)
    assert set(re.findall(r"w\d", parent.text)) <= set(re.findall(r"w\d", found))
