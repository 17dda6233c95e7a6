"""From what a user says to what the index is asked: context put in, intents told apart, other wordings found."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from hybridret.errors import InputError
from hybridret.guard import Budget, ask
from hybridret.splitting import MOST_PARTS, split_query
from hybridret.types import FloatArray, Llm

N_TURNS = 3
_LLM = "the language model"
_USER = {"user", "human"}
_CONDENSE = (
    "Rewrite the last question so that it can be understood without the conversation. Keep its language, add nothing "
    "else, answer nothing.\n\nConversation:\n{turns}\n\nLast question: {query}\n\nRewritten question:"
)
_SPLIT = (
    "If this asks for several things that different documents would answer, write one self-contained question for "
    "each, one a line. If it asks for one thing, write it unchanged. Write nothing else.\n\n{query}"
)
_REWORD = "Word this search query in {n} other ways, one a line, in its language, and write nothing else.\n\n{query}"
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_T = TypeVar("_T")


class Turn(NamedTuple):
    """What was said earlier in a conversation.

    Attributes:
        role: Who said it: ``user`` (or ``human``), or anybody else.
        text: What was said.
    """

    role: str
    text: str


class Understood(NamedTuple):
    """What the index is asked in place of a query.

    Attributes:
        queries: One for each thing that the query asks for.
        variants: Other wordings of each.
        failed: Why the language model could not help; None where it did or was not asked.
    """

    queries: list[str]
    variants: list[list[str]]
    failed: str | None = None


@dataclass(frozen=True)
class Understanding:
    """How queries are understood.

    Attributes:
        split: Whether a query that asks for several things is split.
        n_variants: Other wordings that the language model gives of each query.
        llm: A function of a prompt, or a LangChain chat model; None: rules alone. Where it fails, rules stand in.

    Raises:
        InputError: There is no language model to give other wordings.
    """

    split: bool = False
    n_variants: int = 0
    llm: Llm | None = None

    def __post_init__(self) -> None:
        if self.n_variants and self.llm is None:
            raise InputError("n_variants needs llm: other wordings come from a language model")

    def __call__(self, query: str, history: Sequence[Turn] = (), budget: Budget | None = None) -> Understood:
        """Understands a query.

        Args:
            query: What is asked.
            history: What was said before, oldest first.
            budget: How long all answers of the language model may take together; None: as long as they do.
        """
        if not isinstance(query, str) or not query.strip():
            return Understood([query], [[]])
        failures: list[str] = []

        def told(prompt: str) -> list[str]:
            assert self.llm is not None
            lines, failure = _lines(self.llm, prompt, None if budget is None else budget.left(1.0))
            failures.extend([failure] if failure else [])
            return lines

        alone = ""
        if history and self.llm is not None:
            said = "\n".join(f"{turn.role}: {turn.text}" for turn in history[-2 * N_TURNS :])
            alone = " ".join(told(_CONDENSE.format(turns=said, query=query)))
        condensed = alone or query
        queries = [condensed]
        if self.split:
            asked = [] if self.llm is None else told(_SPLIT.format(query=condensed))
            queries = asked if 0 < len(asked) <= MOST_PARTS else split_query(condensed)
        if history and not alone:
            queries = [in_context(each, history) for each in queries]
        variants: list[list[str]] = [[] for _ in queries]
        if self.llm is not None and self.n_variants:
            variants = [told(_REWORD.format(n=self.n_variants, query=each))[: self.n_variants] for each in queries]
        return Understood(queries, variants, failures[0] if failures else None)


def turns(history: Sequence[Any]) -> list[Turn]:
    """Reads a conversation.

    Args:
        history: Oldest first: texts of the user, pairs of role and text, mappings with ``role`` and ``content``, or
            LangChain messages.

    Raises:
        InputError: An entry is none of these.
    """
    if isinstance(history, str):
        raise InputError("history must be a list of turns, not one string")
    return [_turn(entry) for entry in history]


def in_context(query: str, history: Sequence[Turn]) -> str:
    """A query followed by the user's last three turns, the newest first, so that a narrow window cuts the oldest."""
    said = [turn.text for turn in history if turn.role in _USER and turn.text.strip()]
    return " ".join([query, *reversed(said[-N_TURNS:])])


def averaged(vectors: FloatArray, counts: Sequence[int]) -> FloatArray:
    """The mean of each query's wordings, brought to unit length.

    Args:
        vectors: *Shape:* (n_wordings, dimension), float32, unit length, the wordings of one query after the other.
        counts: How many wordings each query has, from 1 up.

    Returns:
        *Shape:* (n_queries, dimension), float32; zeros where wordings cancel each other out.
    """
    sums = np.add.reduceat(vectors, np.cumsum([0, *counts[:-1]]), axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def united(wordings: Sequence[str], tokenizer: Callable[[str], Sequence[str]]) -> str:
    """The first wording, followed by the words of the others that bring a term which it does not have yet."""
    seen, words = set(tokenizer(wordings[0])), [wordings[0]]
    for wording in wordings[1:]:
        for word in wording.split():
            terms = set(tokenizer(word))
            if terms - seen:
                seen |= terms
                words.append(word)
    return " ".join(words)


def covered(
    answers: Sequence[Sequence[_T]], k: int, key: Callable[[_T], Hashable], score: Callable[[_T], float]
) -> list[_T]:
    """Merges answers to several queries so that each one's best items are there.

    All the first items come first, then all the second ones, and so on; items of one place go by score. Of an item
    that several answers have, the one with the highest score is kept, at its best place.

    Args:
        answers: Items by query, best first.
        k: How many to return.
        key: Tells items apart.
        score: An item's score.
    """
    best: dict[Hashable, _T] = {}
    for item in (item for answer in answers for item in answer):
        if key(item) not in best or score(item) > score(best[key(item)]):
            best[key(item)] = item
    merged: dict[Hashable, _T] = {}
    for place in range(max(map(len, answers), default=0)):
        row = sorted((answer[place] for answer in answers if place < len(answer)), key=lambda item: -score(item))
        for item in row:
            merged.setdefault(key(item), best[key(item)])
    return list(merged.values())[:k]


def _turn(entry: Any) -> Turn:
    if isinstance(entry, str):
        return Turn("user", entry)
    if isinstance(entry, Mapping):
        entry = (entry.get("role"), entry.get("content"))
    elif hasattr(entry, "content") and hasattr(entry, "type"):
        entry = (entry.type, _text(entry))
    if isinstance(entry, tuple | list) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
        return Turn(*entry)
    raise InputError(f"a turn of the history must be a text, a role and a text, or a message, not {entry!r}")


def _lines(llm: Llm, prompt: str, seconds: float | None) -> tuple[list[str], str | None]:
    """The lines that a language model gives, without list marks; or none and why there are none."""
    asked = ask({_LLM: lambda: _replied(llm, prompt)}, seconds, llm, raised=())
    if asked.failures:
        return [], f"{_LLM}: {asked.failures[_LLM]}"
    lines = [_LIST_MARK.sub("", line).strip() for line in asked.results[_LLM].splitlines()]
    lines = list(dict.fromkeys(line for line in lines if line))
    return lines, None if lines else f"{_LLM}: it said nothing"


def _replied(llm: Llm, prompt: str) -> str:
    return _text(llm.invoke(prompt) if hasattr(llm, "invoke") else llm(prompt))


def _text(reply: Any) -> str:
    """The text of a reply: itself, its content, or the texts of its content's blocks."""
    content = getattr(reply, "content", reply)
    if isinstance(content, list):
        content = "".join(block if isinstance(block, str) else str(block.get("text", "")) for block in content)
    if not isinstance(content, str):
        raise TypeError(f"a {type(reply).__name__} is no text")
    return content
