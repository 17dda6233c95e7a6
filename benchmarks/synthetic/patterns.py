"""Synthetic documents and questions out of patterns: sentences with slots, and other wordings of the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from string import Formatter
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from benchmarks.collection import Collection, relevant
from hybridret.data.dataset import Dataset
from hybridret.types import Document

ALTERNATIVE = "_alt"
_WORD = re.compile(r"\w(?:[\w,.'-]*\w)?")
_LEAST_FOR_TYPOS, _PREFIX = 5, 4
_MOST_RELEVANT = 12

Slots = Mapping[str, Sequence[str]]


class Pattern(NamedTuple):
    """A kind of document, and how people ask for one.

    Attributes:
        document: A text with slots as ``str.format`` has them.
        queries: Texts with some of the slots; ``{slot_alt}`` is another wording of the slot's value.
    """

    document: str
    queries: Sequence[str]


class Filled(NamedTuple):
    """A document with what it was made of.

    Attributes:
        pattern: The number of its pattern.
        values: By slot, the value and its other wordings.
        text: The document.
    """

    pattern: int
    values: Mapping[str, tuple[str, ...]]
    text: str


def fill(patterns: Sequence[Pattern], slots: Slots, n_documents: int, generator: np.random.Generator) -> list[Filled]:
    """Makes documents of all patterns alike, no text twice.

    Args:
        patterns: What to make them of.
        slots: By slot its values; ``value|other wording`` where there is another one.
        n_documents: How many to make; fewer where the patterns give no more.
        generator: Draws the values.
    """
    waiting = []
    for number, pattern in enumerate(patterns):
        names = _slots(pattern.document)
        choices = list(product(*(slots[name] for name in names)))
        order = generator.permutation(len(choices))
        waiting.append([(number, dict(zip(names, choices[at], strict=True))) for at in order])
    made: dict[str, Filled] = {}
    for round_ in range(max(map(len, waiting))):
        for number, chosen in (each[round_] for each in waiting if round_ < len(each)):
            values = {name: tuple(value.split("|")) for name, value in chosen.items()}
            text = patterns[number].document.format(**_wordings(values, other=False))
            made.setdefault(text, Filled(number, values, text))
            if len(made) == n_documents:
                return list(made.values())
    return list(made.values())


def ask(
    documents: Sequence[Filled], patterns: Sequence[Pattern], n_queries: int, generator: np.random.Generator
) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Asks for documents in other words, in their own rare words, with typos, in cut words and in key words.

    A question is answered by all documents of its pattern with the values that it names; rare words by all documents
    that hold them all. What more than a dozen documents answer is not asked.

    Args:
        documents: The documents, called by their positions.
        patterns: What they were made of.
        n_queries: How many questions to ask; fewer where there are no more.
        generator: Draws documents, questions and typing.

    Returns:
        Texts by query id, and grades by query id and document id.
    """
    words = [set(_WORD.findall(each.text.lower())) for each in documents]
    counts: dict[str, int] = {}
    for word in (word for each in words for word in each):
        counts[word] = counts.get(word, 0) + 1
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    texts = set()
    for at in [int(at) for _ in range(8) for at in generator.permutation(len(documents))]:
        if len(queries) == n_queries:
            break
        text, answering = _question(at, documents, patterns, words, counts, generator)
        if text and text not in texts and 0 < len(answering) <= _MOST_RELEVANT:
            texts.add(text)
            query = f"q{len(queries)}"
            queries[query], qrels[query] = text, {document_id(other): 1 for other in answering}
    return queries, qrels


def document_id(position: int) -> str:
    """What the document at a position is called."""
    return f"d{position:04d}"


def make_collection(
    name: str, documents: Sequence[Document], queries: Mapping[str, str], qrels: Mapping[str, Mapping[str, int]]
) -> Collection:
    """A collection as the benchmarks measure it."""
    dataset = Dataset(dict(queries), {query: dict(grades) for query, grades in qrels.items()}, 0)
    asked: dict[str, int] = {}
    for grades in dataset.qrels.values():
        for doc_id in relevant(grades):
            asked[doc_id] = asked.get(doc_id, 0) + 1
    return Collection(name, list(documents), dataset, "test", asked, None)


def make_from_patterns(
    name: str, patterns: Sequence[Pattern], slots: Slots, n_documents: int, n_queries: int, seed: int
) -> Collection:
    """A collection out of patterns.

    Args:
        name: What results call it.
        patterns: Kinds of documents.
        slots: By slot its values.
        n_documents: How many documents at most.
        n_queries: How many questions at most.
        seed: Seed of all draws.
    """
    generator = np.random.default_rng(seed)
    documents = fill(patterns, slots, n_documents, generator)
    documents = [documents[at] for at in generator.permutation(len(documents))]
    queries, qrels = ask(documents, patterns, n_queries, generator)
    return make_collection(
        name, [Document(document_id(at), each.text, {}) for at, each in enumerate(documents)], queries, qrels
    )


def typed(text: str, generator: np.random.Generator) -> str:
    """A question as somebody types it: half are as they are, others with a typo, a cut word or in key words."""
    way = generator.random()
    if way < 0.5:
        return text
    if way < 0.65:
        return with_typo(text, generator)
    if way < 0.75:
        return _cut_short(text)
    if way < 0.9:
        return " ".join(word for word in text.split() if word.lower().strip("?,.") not in ENGLISH_STOP_WORDS) or text
    return text.lower().rstrip("?.!")


def with_typo(text: str, generator: np.random.Generator) -> str:
    """The text with two letters swapped, one left out or one doubled, in one of its longer words."""
    places = [found for found in re.finditer(r"[^\W\d_]+", text) if len(found[0]) >= _LEAST_FOR_TYPOS]
    if not places:
        return text
    place = places[int(generator.integers(len(places)))]
    word, at = place[0], int(generator.integers(1, len(place[0]) - 1))
    changed = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
    )[int(generator.integers(3))]
    return text[: place.start()] + changed + text[place.end() :]


def _cut_short(text: str) -> str:
    """The text as it is when typing has not come to the end of the last word."""
    head, _, last = text.rstrip("?.! ").rpartition(" ")
    last = last[: max(_PREFIX, 2 * len(last) // 3)]
    return f"{head} {last}".strip()


def _question(
    at: int,
    documents: Sequence[Filled],
    patterns: Sequence[Pattern],
    words: Sequence[set[str]],
    counts: Mapping[str, int],
    generator: np.random.Generator,
) -> tuple[str, list[int]]:
    document = documents[at]
    queries = patterns[document.pattern].queries
    drawn = int(generator.integers(len(queries) + 1))
    if drawn == len(queries):
        rare = sorted(
            word
            for word in words[at]
            if len(word) > 2 and counts[word] <= _MOST_RELEVANT and word not in ENGLISH_STOP_WORDS
        )
        if not rare:
            return "", []
        named = [rare[place] for place in generator.permutation(len(rare))[:2]]
        return " ".join(named), [other for other in range(len(documents)) if words[other].issuperset(named)]
    template = queries[drawn]
    named = [name.removesuffix(ALTERNATIVE) for name in _slots(template)]
    answering = [
        other
        for other, each in enumerate(documents)
        if each.pattern == document.pattern and all(each.values[name] == document.values[name] for name in named)
    ]
    return typed(template.format(**_wordings(document.values, other=True)), generator), answering


def _wordings(values: Mapping[str, tuple[str, ...]], other: bool) -> dict[str, str]:
    """What the slots are filled with."""
    filled = {name: value[0] for name, value in values.items()}
    return {**filled, **({name + ALTERNATIVE: value[-1] for name, value in values.items()} if other else {})}


def _slots(text: str) -> list[str]:
    return list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(text) if name))
