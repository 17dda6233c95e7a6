"""Keyword docids: a document's keyphrases."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from hybridret.docids.tokens import Tokenizer, tokenized
from hybridret.types import Arrays, Document, FloatArray, IntArray, Llm
from hybridret.words import WORD, is_unspaced_run, split_clusters

N_PHRASES, MAX_TOKENS = 4, 32
_LONGEST = 3
_ROUNDING = 1e-9
_PROMPT = (
    "Name at most {n} keyphrases of one to three words that tell this text from others, the most telling first, "
    "separated by commas and nothing else.\n\n{text}"
)
Phrase: TypeAlias = tuple[str, tuple[str, ...]]


class KeywordIds:
    """A docid is the text of a document's most telling phrases.

    Phrases are runs of up to three words that are at least as rare as the document's average word; each occurrence
    counts the sum of its words' inverse document frequencies. That needs no list of stop words. Keywords as docids:
    Zhang et al., "Term-Sets Can Be Strong Document Identifiers For Auto-Regressive Search Engines", 2023.

    Args:
        tokenizer: The backbone's tokenizer.
        frequencies: How many documents have a word, for words of more than one.
        n_documents: How many documents were counted.
        llm: Names the phrases instead; where it names none, the statistic does.
        n_phrases: Phrases of a docid.
        max_tokens: Tokens of a docid, the end token among them.
    """

    level_sizes = None
    dimension = None

    def __init__(
        self,
        tokenizer: Tokenizer,
        frequencies: dict[str, int],
        n_documents: int,
        llm: Llm | None = None,
        n_phrases: int = N_PHRASES,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.n_documents, self.n_phrases, self.max_tokens = n_documents, n_phrases, max_tokens
        self._tokenizer, self._frequencies, self._llm = tokenizer, frequencies, llm

    @classmethod
    def fit(cls, documents: Sequence[Document], tokenizer: Tokenizer, llm: Llm | None = None) -> KeywordIds:
        """Counts the documents that have each word."""
        frequencies = Counter(word for document in documents for word in {word for word, _, _ in _words(document.text)})
        return cls(tokenizer, {word: n for word, n in frequencies.items() if n > 1}, len(documents), llm)

    def phrases(self, text: str) -> list[str]:
        """A text's most telling phrases, the best first; none for a text without words."""
        named = [] if self._llm is None else _named(self._llm, text, self.n_phrases)
        if named:
            return named
        words = list(_words(text))
        weights = [self._idf(word) for word, _, _ in words]
        scores: dict[Phrase, float] = defaultdict(float)
        for first, end in _runs(text, words, weights):
            own = tuple(word for word, _, _ in words[first:end])
            scores[" ".join(text[words[first][1] : words[end - 1][2]].lower().split()), own] += sum(weights[first:end])
        chosen: dict[str, tuple[str, ...]] = {}
        for (phrase, own), _ in sorted(scores.items(), key=lambda item: -item[1]):
            if len(chosen) < self.n_phrases and not set(own) <= {word for other in chosen.values() for word in other}:
                chosen[phrase] = own
        return list(chosen)

    def encode(self, vectors: FloatArray, documents: Sequence[Document]) -> IntArray:
        """Names documents. *Shape:* (n, n_tokens), int64, filled up with ``FILL``; see ``DocidScheme``."""
        texts = [", ".join(self.phrases(document.text)) for document in documents]
        return tokenized(self._tokenizer, texts, self.max_tokens)

    def arrays(self) -> Arrays:
        """What makes the scheme again, with the tokenizer and the language model."""
        return {
            "words": np.frombuffer("\n".join(self._frequencies).encode(), dtype=np.uint8),
            "frequencies": np.array([*self._frequencies.values()], dtype=np.int64),
            "settings": np.array([self.n_documents, self.n_phrases, self.max_tokens]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, tokenizer: Tokenizer, llm: Llm | None = None) -> KeywordIds:
        """The scheme that gave the arrays.

        Raises:
            ValueError: They are of another kind.
        """
        words = arrays["words"].tobytes().decode().split("\n") if len(arrays["words"]) else []
        counts, settings = arrays["frequencies"], arrays["settings"]
        kinds = [arrays["words"].dtype, counts.dtype, settings.dtype]
        if kinds != [np.uint8, np.int64, np.int64] or settings.shape != (3,):
            raise ValueError("the docid scheme counts no words")
        n_documents, n_phrases, max_tokens = settings.tolist()
        if min(n_documents, n_phrases, max_tokens) < 1 or not ((counts >= 1) & (counts <= n_documents)).all():
            raise ValueError("the docid scheme has a count that cannot be")
        frequencies = dict(zip(words, counts.tolist(), strict=True))
        return cls(tokenizer, frequencies, n_documents, llm, n_phrases, max_tokens)

    def _idf(self, word: str) -> float:
        """Inverse document frequency, above 0 also of a word that all documents have."""
        return math.log((self.n_documents + 2) / (self._frequencies.get(word, 1) + 1))


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """Words in lower case with where they begin and end; each character of a script without spaces is one."""
    for match in WORD.finditer(text):
        at = match.start()
        for part in split_clusters(match.group()) if is_unspaced_run(match.group()) else [match.group()]:
            yield part.lower(), at, at + len(part)
            at += len(part)


def _runs(text: str, words: Sequence[tuple[str, int, int]], weights: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Where runs of rare words stand, of at most three words each and nothing but blanks between them."""
    least = sum(weights) / max(1, len(weights)) - _ROUNDING
    first = 0
    for at in range(len(words) + 1):
        is_rare = at < len(words) and weights[at] >= least
        follows = at > first and at < len(words) and not text[words[at - 1][2] : words[at][1]].strip()
        if at > first and not (is_rare and follows and at - first < _LONGEST):
            yield first, at
            first = at
        if not is_rare:
            first = at + 1


def _named(llm: Llm, text: str, n_phrases: int) -> list[str]:
    """The phrases that a language model names; none for an empty text."""
    if not text.strip():
        return []
    prompt = _PROMPT.format(n=n_phrases, text=text)
    reply = llm(prompt) if callable(llm) else getattr(llm.invoke(prompt), "content", "")
    phrases = [" ".join(part.strip(" \t-*.\"'").lower().split()) for part in re.split(r"[,;\n]", str(reply))]
    return list(dict.fromkeys(phrase for phrase in phrases if phrase))[:n_phrases]
