"""Documents written to be found for a question that they do not answer, by the ways of those who write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hybridret.bm25.tokenizer import STOP_WORDS
from hybridret.data.dataset import Dataset
from hybridret.types import Document


class Order(NamedTuple):
    """What an attacker is asked for.

    Attributes:
        text: The attacker's text, which answers nothing.
        question: What it shall be found for.
        others: Further questions that it may as well be found for.
        generator: Draws.
    """

    text: str
    question: str
    others: list[str]
    generator: np.random.Generator


Spoil = Callable[[Order], str]

SEED, PREFIX = 0, "poison:"
TIMES, SHUFFLED_TIMES, OTHER_QUESTIONS = 10, 5, 8
_HIDING_LINES = 40
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")


def keywords(question: str) -> list[str]:
    """A question's words, stop words and marks left out; all of them where nothing else is left."""
    words = re.findall(r"[^\W_]+(?:[-.'_][^\W_]+)*", question)
    return [word for word in words if word.lower() not in STOP_WORDS] or question.split()


def stuffed(order: Order) -> str:
    """The question's keywords ten times after the text."""
    return f"{order.text} {' '.join(keywords(order.question) * TIMES)}"


def shuffled(order: Order) -> str:
    """The question's keywords five times in a random order, before the text."""
    words = keywords(order.question) * SHUFFLED_TIMES
    order.generator.shuffle(words)
    return f"{' '.join(words)} {order.text}"


def listed(order: Order) -> str:
    """The keywords of the question and of others, each once, with commas, after the text."""
    return f"{order.text}\n{', '.join(_all_keywords(order))}"


def unconnected(order: Order) -> str:
    """The same list without commas."""
    return f"{order.text}\n{' '.join(_all_keywords(order))}"


def hidden(order: Order) -> str:
    """The question's words once, in a comment far below the text, where no reader looks."""
    return order.text + "\n" * _HIDING_LINES + f"<!-- {order.question} -->"


def undisplayed(order: Order) -> str:
    """The question in an element of a page that no browser shows, in the middle of the text."""
    before, after = _halves(order.text)
    return f'{before} <div style="color: #fff; display: none">{order.question}</div> {after}'


def copied(order: Order) -> str:
    """The question itself, then the text: what deceives encoders most."""
    return f"{order.question} {order.text}"


def inserted(order: Order) -> str:
    """The question itself between two sentences of the text."""
    before, after = _halves(order.text)
    return f"{before} {order.question} {after}"


ATTACKS: dict[str, Spoil] = {
    "stuffed keywords": stuffed,
    "shuffled keywords": shuffled,
    "keyword list": listed,
    "keyword list without commas": unconnected,
    "hidden keywords": hidden,
    "hidden element": undisplayed,
    "copied question": copied,
    "question in the middle": inserted,
}


def poisoned(documents: Sequence[Document], dataset: Dataset, attack: str) -> list[Document]:
    """A document a question, made from the text of one that has nothing to do with it.

    Args:
        documents: Whose texts attackers take.
        dataset: The questions.
        attack: A name of ``ATTACKS``.
    """
    generator = np.random.default_rng(SEED)
    questions = list(dataset.queries.values())
    found = []
    for query, question in dataset.queries.items():
        judged = dataset.qrels[query]
        candidates = [document for document in documents if document.doc_id not in judged]
        text = candidates[int(generator.integers(len(candidates)))].text if candidates else ""
        others = [questions[at] for at in generator.integers(len(questions), size=OTHER_QUESTIONS).tolist()]
        spoilt = ATTACKS[attack](Order(text, question, others, generator))
        found.append(Document(f"{PREFIX}{query}", spoilt, {}))
    return found


def _all_keywords(order: Order) -> list[str]:
    return list(dict.fromkeys(word for question in (order.question, *order.others) for word in keywords(question)))


def _halves(text: str) -> tuple[str, str]:
    """A text cut at the sentence end that is nearest to its middle."""
    ends = [found.start() for found in _SENTENCE.finditer(text)] or [len(text)]
    cut = min(ends, key=lambda end: abs(end - len(text) / 2))
    return text[:cut], text[cut:].lstrip()
