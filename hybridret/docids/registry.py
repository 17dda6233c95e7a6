"""Docid schemes by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np

from hybridret.docids import hierarchical
from hybridret.docids.atomic import AtomicIds
from hybridret.docids.hierarchical import HierarchicalKMeans
from hybridret.docids.keyword import KeywordIds
from hybridret.docids.path import PathIds
from hybridret.docids.rq import ResidualQuantizer
from hybridret.docids.scheme import DocidScheme
from hybridret.docids.tokens import Tokenizer
from hybridret.errors import InputError
from hybridret.types import Arrays, Document, FloatArray, Llm, Progress

SchemeName: TypeAlias = Literal["rq", "hierarchical", "atomic", "keyword", "path"]
N_LEVELS, N_CODES = 16, 256


def fit_scheme(
    name: SchemeName,
    vectors: FloatArray,
    documents: Sequence[Document],
    seed: int,
    n_levels: int | None = None,
    n_codes: int | None = None,
    tokenizer: Tokenizer | None = None,
    fields: Sequence[str] = ("title",),
    llm: Llm | None = None,
    progress: Progress | None = None,
) -> DocidScheme:
    """Fits a scheme to a corpus.

    Args:
        name: Which one.
        vectors: *Shape:* (n_documents, dimension), float32; at least one.
        documents: The corpus.
        seed: Seed of everything random.
        n_levels: Codes of a docid at most (rq, hierarchical); None: the scheme's default.
        n_codes: Codes of a level at most (rq, hierarchical); None: the scheme's default.
        tokenizer: The backbone's (keyword, path).
        fields: Metadata fields (path).
        llm: Names keyphrases (keyword).
        progress: Told as the work goes on.

    Returns:
        The scheme, frozen.

    Raises:
        InputError: The name is unknown, there is no document, a vector is not finite, or the tokenizer is missing.
    """
    checked_name(name)
    if len(vectors) != len(documents) or not len(documents):
        raise InputError(
            f"a docid scheme is fitted to documents and their vectors, not {len(documents)}, {len(vectors)}"
        )
    if not np.isfinite(vectors).all():
        raise InputError(f"the vector of document {_first_wrong(vectors, documents)!r} is not finite")
    if name == "rq":
        return ResidualQuantizer.fit(vectors, n_levels or N_LEVELS, n_codes or N_CODES, seed, progress)
    if name == "hierarchical":
        own = n_codes or hierarchical.N_CODES, n_levels or hierarchical.N_LEVELS
        return HierarchicalKMeans.fit(vectors, seed, *own, progress)
    if name == "atomic":
        return AtomicIds(np.ascontiguousarray(vectors, dtype=np.float32))
    if name == "keyword":
        return KeywordIds.fit(documents, _given(tokenizer, name), llm)
    return PathIds.fit(documents, _given(tokenizer, name), fields)


def load_scheme(
    name: SchemeName, arrays: Arrays, tokenizer: Tokenizer | None = None, llm: Llm | None = None
) -> DocidScheme:
    """Makes the scheme again that gave these arrays.

    Raises:
        InputError: The name is unknown, or the tokenizer is missing.
        KeyError, ValueError: The arrays are not those of the scheme.
    """
    checked_name(name)
    if name == "rq":
        return ResidualQuantizer.from_arrays(arrays)
    if name == "hierarchical":
        return HierarchicalKMeans.from_arrays(arrays)
    if name == "atomic":
        return AtomicIds.from_arrays(arrays)
    if name == "keyword":
        return KeywordIds.from_arrays(arrays, _given(tokenizer, name), llm)
    return PathIds.from_arrays(arrays, _given(tokenizer, name))


def checked_name(name: object) -> SchemeName:
    """The name of a scheme.

    Raises:
        InputError: There is no such scheme.
    """
    known: tuple[SchemeName, ...] = get_args(SchemeName)
    found = next((each for each in known if each == name), None)
    if found is None:
        raise InputError(f"unknown docid scheme {name!r}; known are {', '.join(known)}")
    return found


def _given(tokenizer: Tokenizer | None, name: str) -> Tokenizer:
    if tokenizer is None:
        raise InputError(f"{name} docids are written in a backbone's tokens: hand in its tokenizer")
    return tokenizer


def _first_wrong(vectors: FloatArray, documents: Sequence[Document]) -> str:
    return documents[int(np.argmin(np.isfinite(vectors).all(axis=1)))].doc_id
