#!/usr/bin/env bash
# langchain-classic 1.0.8: the compressor EmbeddingsFilter gives documents back without their ids.
# One would guess: a compressor that only leaves documents out gives the others back as they were, so that a retriever
# behind ContextualCompressionRetriever still names what it found.
# Seen: the text and the metadata are there, the id is None. Who needs it must carry it in the metadata.
# Exits 1 where that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet langchain-classic==1.0.8 langchain-community==0.4.2 numpy
"$place/venv/bin/python" -W ignore - <<'PYTHON'
from langchain_classic.retrievers.document_compressors import EmbeddingsFilter
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

given = [Document(id="pump", page_content="The pump weighs 12 kg.", metadata={"chapter": 9})]
compressor = EmbeddingsFilter(embeddings=DeterministicFakeEmbedding(size=8), k=1, similarity_threshold=None)
(kept,) = compressor.compress_documents(given, "how heavy is it?")
print(repr(given[0].id), "became", repr(kept.id), kept.page_content, kept.metadata)
assert (kept.page_content, kept.metadata["chapter"]) == ("The pump weighs 12 kg.", 9)
assert kept.id is None
PYTHON
