"""What parts of queries and docids stand for: tokens by what is lost without them, codes by their documents' words."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import regex

from hybridret.allowed import Allowed
from hybridret.generation import Generation
from hybridret.types import Document, FloatArray, Queries
from hybridret.words import CLUSTER, PAIRED_RUN, UNPAIRED_WORD, UNSPACED, is_paired_run

MOST_TOKENS = 64
_N_TERMS, _NEAREST = 3, 50
_TOKEN = regex.compile(rf"(?={UNSPACED}){CLUSTER}|(?:(?!{UNSPACED})\S)+", regex.V1)
_PIECE = regex.compile(rf"{PAIRED_RUN}|{UNPAIRED_WORD}(?:['’.]{UNPAIRED_WORD})*", regex.V1)


def query_tokens(text: str) -> list[str]:
    """The first 64 words of a query; each character of a script without spaces is one."""
    tokens: list[str] = _TOKEN.findall(text)
    return tokens[:MOST_TOKENS]


def without_each(text: str) -> list[str]:
    """The query without each of its tokens in turn; nothing where it has only one."""
    found = list(_TOKEN.finditer(text))
    if len(found) < 2:
        return []
    return [(text[: match.start()] + text[match.end() :]).strip() for match in found[:MOST_TOKENS]]


def token_contributions(
    generation: Generation, text: str, vector: FloatArray, without: FloatArray, row: int
) -> list[dict[str, Any]]:
    """What each token of a query adds to its cosine with a document: what is lost without the token.

    Leave-one-out (Li et al., "Understanding Neural Networks through Representation Erasure", 2016), exact for any
    encoder; as tokens share what they say, contributions do not sum to the cosine. A lone token adds all of it.

    Args:
        generation: The index's state.
        text: The query.
        vector: *Shape:* (dimension,), float32, of the query.
        without: *Shape:* (n_tokens, dimension), float32, of the texts of ``without_each``.
        row: The document's row.
    """
    vectors = np.concatenate([vector[None], without]) if len(without) else vector[None]
    rows = [np.array([row])] * len(vectors)
    whole, *rest = (float(score[0]) for score in generation.dense.score(Queries([text] * len(vectors), vectors), rows))
    tokens = query_tokens(text)
    lost = [whole - score for score in rest] if rest else [whole]
    return [{"token": token, "contribution": value} for token, value in zip(tokens, lost, strict=True)]


def code_meanings(
    generation: Generation,
    row: int,
    allowed: Allowed | None,
    documents: Callable[[Sequence[int]], Mapping[int, Document]],
) -> list[dict[str, Any]]:
    """What each code of a docid stands for, after the codes before it.

    Args:
        generation: The index's state.
        row: The document's row.
        allowed: Rows that may be looked at; None: all.
        documents: Gives documents by key.

    Returns:
        By level, how many documents share the docid up to there, and the words that tell them from others: those with
        the highest mean of ``(1 + log tf) * idf`` over the 50 of them that are nearest to the document.
    """
    assert generation.docid is not None
    codes = generation.docid.codes
    rows = np.flatnonzero(generation.alive) if allowed is None else allowed.rows
    weights: dict[int, dict[str, float]] = {}
    meanings: list[dict[str, Any]] = []
    for level in range(int((codes[row] >= 0).sum())):
        rows = rows[codes[rows, level] == codes[row, level]]
        if meanings and len(rows) == meanings[-1]["documents"]:
            meanings.append(meanings[-1])
            continue
        cosines = generation.dense.vectors[rows] @ generation.dense.vectors[row]
        nearest = rows[np.argsort(-cosines, kind="stable")[:_NEAREST]]
        missing = [one for one in nearest.tolist() if one not in weights]
        found = documents(sorted(int(generation.keys[one]) for one in missing))
        for one in missing:
            document = found.get(int(generation.keys[one]))
            weights[one] = {} if document is None else _weighted(generation, document.text)
        totals: dict[str, float] = defaultdict(float)
        for one in nearest.tolist():
            for word, weight in weights[one].items():
                totals[word] += weight
        best = sorted(totals, key=lambda word: (-totals[word], word))[:_N_TERMS]
        meanings.append({"documents": len(rows), "keyphrases": best})
    return meanings


def _weighted(generation: Generation, text: str) -> dict[str, float]:
    """The tf-idf weight of each of a text's words, in its most frequent form in lower case."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for token in _PIECE.findall(text):
        terms, is_word = generation.bm25.tokenizer(token), not is_paired_run(token)
        for term in terms[:1] if is_word else terms:
            forms[term][token.lower() if is_word else term] += 1
    idf = generation.bm25.postings.idf
    return {form.most_common(1)[0][0]: (1.0 + math.log(form.total())) * idf(term) for term, form in forms.items()}
