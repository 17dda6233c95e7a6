"""What a chat model is asked for, and how its reply is read."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from finetune.queries.base import Draft
from finetune.queries.metadata import find_constraints
from finetune.queries.text import as_query, sentence_spans
from hybridret.types import Document

SYSTEM = (
    "You write the search queries that real users would type to find a given passage in a large collection. "
    "Users do not see the passage. Never refer to it ('the text', 'the passage', 'the author says'). "
    "Write in the passage's own language. "
    'Reply with JSON alone: {"questions": [{"question": "...", "answer": "..."}]}. '
    "Each answer is short and stands in the passage."
)

_WHOLE = (
    "Write {count} different queries that this passage as a whole answers: one a few keywords, the others natural "
    "questions.\n\nPassage:\n{passage}"
)
_SENTENCE = (
    "Write {count} different questions that are answered by this one sentence of the passage, specific enough to find "
    "it among thousands.\n\nSentence:\n{sentence}\n\nPassage:\n{passage}"
)
_HARD = (
    "Write {count} hard questions that this passage answers. Use other words than the passage does, and ask for what "
    "must be concluded from several of its statements.\n\nPassage:\n{passage}"
)
_CONSTRAINT = (
    "Write {count} queries that this passage answers and that name this constraint as a user would: {kind} is {value}."
    "\n\nPassage:\n{passage}"
)
_COUNT = 3
_PASSAGE_CHARACTERS = 4000
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_LIST_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s*(?P<question>.{8,200}?[?？])\s*$", re.MULTILINE)
_QUESTION_KEYS, _ANSWER_KEYS = ("question", "query", "q"), ("answer", "a")
_LONGEST = 300


def chat_request(document: Document, turn: int, source: random.Random, fields: Sequence[str]) -> str:
    """What to ask about a document, in turn: about the whole, about one sentence, hard questions, under a constraint.

    A document without metadata to weave in is asked for the whole again instead.

    Args:
        document: The document; its first 4,000 characters are shown.
        turn: Number of the request about this document, from 0.
        source: Chooses sentence and constraint.
        fields: Metadata to weave in, as for ``find_constraints``.
    """
    passage = document.text[:_PASSAGE_CHARACTERS]
    sentences = [passage[span.start : span.end] for span in sentence_spans(passage)]
    constraints = list(find_constraints(document, fields))
    kind = turn % 4
    if kind == 1 and len(sentences) > 1:
        return _SENTENCE.format(count=_COUNT, sentence=source.choice(sentences), passage=passage)
    if kind == 2:
        return _HARD.format(count=_COUNT, passage=passage)
    if kind == 3 and constraints:
        name, value = source.choice(constraints)
        return _CONSTRAINT.format(count=_COUNT, kind=name, value=value, passage=passage)
    return _WHOLE.format(count=_COUNT, passage=passage)


def read_reply(reply: str) -> list[Draft]:
    """Reads questions and answers from a reply.

    Args:
        reply: JSON as asked for, in a fence or among other words; a JSON list of questions; or, where there is no
            JSON, a list whose items end with a question mark.

    Returns:
        The questions; none where the reply is something else.
    """
    for part in (*_FENCE.findall(reply), reply):
        found = _first_json(part)
        if found is not None:
            return [draft for item in _items(found) if (draft := _draft(item)) is not None]
    return [Draft(as_query(match["question"])) for match in _LIST_ITEM.finditer(reply)]


def _first_json(text: str) -> Any:
    decoder = json.JSONDecoder()
    for start in re.finditer(r"[\[{]", text):
        try:
            found, _ = decoder.raw_decode(text[start.start() :])
        except (ValueError, RecursionError):
            continue
        if found:
            return found
    return None


def _items(found: Any) -> list[Any]:
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        return lists[0] if lists and not any(key in found for key in _QUESTION_KEYS) else [found]
    return found if isinstance(found, list) else []


def _draft(item: Any) -> Draft | None:
    if isinstance(item, str):
        item = {"question": item}
    if not isinstance(item, dict):
        return None
    question = next((item[key] for key in _QUESTION_KEYS if isinstance(item.get(key), str)), "")
    answer = next((item[key] for key in _ANSWER_KEYS if isinstance(item.get(key), str | int | float)), None)
    text = as_query(question)
    if not text or len(text) > _LONGEST or not any(character.isalpha() for character in text):
        return None
    return Draft(text, None, str(answer).strip() or None if answer is not None else None)
