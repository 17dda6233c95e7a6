"""Telling apart what one query asks for: English rules that rather leave two questions together than cut one."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_PARTS = 8
_ASKING = "what|how|when|where|why|who|whom|whose|which"
_AUXILIARY = "is|are|was|were|do|does|did|can|could|should|would|will|has|have|had|must|may"
_ORDER = (
    "show|find|tell|explain|list|give|describe|recommend|suggest|name|define|summari[sz]e|translate|convert|book|play|"
    "search|calculate|remind|send|order"
)
_LEAD = re.compile(
    r"(?:(?:and|also|then|next|plus|please|finally|lastly|additionally|first(?:ly)?|second(?:ly)?|third(?:ly)?)\b[\s,:]*)*",
    re.IGNORECASE,
)
_REQUEST = re.compile(rf"{_LEAD.pattern}(?:{_ASKING}|{_AUXILIARY}|{_ORDER})\b", re.IGNORECASE)
_YES_OR_NO = re.compile(rf"{_LEAD.pattern}(?:{_AUXILIARY})\b", re.IGNORECASE)
_QUESTION = re.compile(
    rf"{_LEAD.pattern}(?:{_ASKING}|(?:{_AUXILIARY}) (?:the|a|an|my|all|most|every))\b", re.IGNORECASE
)
_DEFINED = re.compile(rf"{_LEAD.pattern}what (?:is|are)\b", re.IGNORECASE)
_REFERS = re.compile(
    r"\b(?:it|its|they|them|theirs?|this|these|those|he|him|his|she|hers?|both|former|latter|same|others?|another|"
    r"instead|else|corresponding|respective|(?:get|go|from|in|over) there|"
    r"(?:do|does|did|is|was|can|could|would) that|(?:what|how) about|which ones?)\b"
    r"|\bthat\b(?=\s*(?:$|[?.!,]|(?:is|are|was|were|do|does|works?|means?)\b))|\b(?:there|then|ones?)\b(?=\s*[?.!]*$)",
    re.IGNORECASE,
)
_COMPARES = re.compile(r"\b(?:between|whether|both|either|neither|compar\w*|differ\w*|versus|vs)\b", re.IGNORECASE)
_PROTECTED = re.compile(r"\"[^\"]*\"|`[^`]*`|“[^“”]*”|«[^«»]*»|(?<!\w)'[^']*'(?!\w)|\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")
_AFTER_QUESTION = re.compile(r"(?<=[^\s?][?])\s+|(?<=[?]{2})\s+|(?<=？)\s*")
_AFTER_SEMICOLON = re.compile(r"(?<=;)\s+")
_BEFORE_QUESTION = re.compile(
    r",?\s+(?:and also|as well as|and|also|plus)\s+"
    rf"(?=(?:what|how|when|where|why)\s+(?:{_AUXILIARY}|to|much|many|long|often|far|big|old|fast|high)\b)",
    re.IGNORECASE,
)
_BEFORE_ORDER = re.compile(rf",?\s+(?:and also|plus)\s+(?=(?:{_ORDER})\b)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:^|(?<=\s))\(?(\d{1,2}|[a-h])[.)]\s+")
_BULLET = re.compile(r"(?:^|\n)[ \t]*[-*•][ \t]+")
_INTRODUCES = re.compile(
    r"(?:please\s+)?(?:tell me|explain|describe|define|find|show me|give me|information|questions?)(?: about| on)?\s*:",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!])\s+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CJK_QUESTION, _CJK_REFERS, _LEAST_CJK = "？", re.compile("[它他她这那其此]"), 5
_EMPTY = frozenset(
    f"""{_ASKING} {_AUXILIARY} a an the i you we me my your our to of in on at for from by with about and or also
    be been am not no yes many much any some anyone anybody someone somebody everyone know help please thanks thank
    hello hi hey possible question questions idea ideas advice thoughts suggestions right correct ok okay sure wonder
    wondering want like tell show explain give need""".replace("|", " ").split()
)
_PERSONAL = re.compile(rf"\b(?:i|i'm|my|we|our|you|your|{_AUXILIARY})\b", re.IGNORECASE)
_CODE = re.compile(r"[(){}=<>\[\]]")
_LONGEST_TOPIC = 6


def split_query(query: str) -> list[str]:
    """Splits a query that asks for several things into one query for each.

    Several questions, enumerations, semicolons, and "and (also)" before a question are looked at. Parts that refer to
    others ("how heavy is it?"), share most of their words with them or ask for nothing stay with what is before them;
    what stands in quotes or brackets is never cut. What is not English stays whole, but for full-width question marks.

    Args:
        query: What is asked.

    Returns:
        The parts in their order, 2 to 8; or the query alone, as it is.
    """
    text = query.strip()
    parts = _enumerated(text) or _apart(text)
    return parts if 1 < len(parts) <= MOST_PARTS else [query]


def _apart(text: str) -> list[str]:
    topics = _cut(text, _AFTER_SEMICOLON)
    if len(topics) > 1 and all(map(_is_topic, topics)):
        return [topic.strip(" ;") for topic in topics]
    questions = _joined(_cut(text, _AFTER_QUESTION), follows=_QUESTION)
    if len(topics) > 1 and len(questions) == 1 and all(map(_is_request, topics)):
        questions = [part.rstrip(" ;") for part in _joined(topics)]
    parts = [part for question in questions for part in _conjoined(question)]
    return [parts[0], *(_LEAD.sub("", part, count=1) for part in parts[1:])]


def _conjoined(question: str) -> list[str]:
    """Cuts before "and how ..." where what comes before is a whole question of its own."""
    for pattern in (_BEFORE_QUESTION, _BEFORE_ORDER):
        pieces = _cut(question, pattern)
        whole = len(_content(pieces[0])) > 1 or (_content(pieces[0]) and _DEFINED.match(pieces[0]))
        if len(pieces) > 1 and whole and _is_request(pieces[0]) and not _COMPARES.search(question):
            return _joined(pieces, " and ")
    return [question]


def _enumerated(text: str) -> list[str]:
    """The items of a numbered or bulleted list of requests, or of topics that a request introduces."""
    numbers = list(_NUMBER.finditer(text))
    told = [match.group(1) for match in numbers]
    marks = numbers if told in (list("12345678"[: len(told)]), list("abcdefgh"[: len(told)])) else []
    marks = marks or list(_BULLET.finditer(text))
    if len(marks) < 2:
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    items = [text[mark.end() : end].strip(" \t\n,;") for mark, end in zip(marks, ends, strict=True)]
    introduction = text[: marks[0].start()].strip()
    if _INTRODUCES.fullmatch(introduction) and all(map(_content, items)):
        return [f"{introduction.rstrip(': ')} {item}" for item in items]
    if _REQUEST.match(introduction) or not all(map(_is_request, items)):
        return []
    return _joined(items)


def _cut(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Pieces between matches that lie outside quotes and brackets; the text whole where a quote is left open."""
    if text.count('"') % 2 or text.count("`") % 2:
        return [text]
    protected = [match.span() for match in _PROTECTED.finditer(text)]
    pieces, start = [], 0
    for match in pattern.finditer(text):
        if not any(low < match.start() < high for low, high in protected):
            pieces.append(text[start : match.start()])
            start = match.end()
    return [piece for piece in [*pieces, text[start:]] if piece.strip()] or [text]


def _joined(pieces: Iterable[str], between: str = " ", follows: re.Pattern[str] = _REQUEST) -> list[str]:
    """Pieces, those that do not stand alone being put back to what is before them."""
    parts: list[str] = []
    for piece in pieces:
        if parts and not (_is_request(parts[-1]) and _stands_alone(piece, parts[-1], follows)):
            parts[-1] += between + piece
        else:
            parts.append(piece)
    return parts


def _stands_alone(piece: str, before: str, follows: re.Pattern[str]) -> bool:
    if not _is_request(piece, follows):
        return False
    if piece.endswith(_CJK_QUESTION):
        return not _CJK_REFERS.search(piece)
    if _REFERS.search(piece):
        return False
    own, others = _content(piece), _content(before)
    shared = own & others
    if shared and _YES_OR_NO.match(piece):
        return False
    return 2 * len(shared) <= len(own | others) and shared not in (own, others)


def _is_request(piece: str, pattern: re.Pattern[str] = _REQUEST) -> bool:
    """Whether a piece asks for something that it names."""
    if piece.endswith(_CJK_QUESTION):
        return len(piece) > _LEAST_CJK
    return bool(_content(piece)) and any(map(pattern.match, _SENTENCE.split(piece.strip())))


def _is_topic(piece: str) -> bool:
    """Whether a piece is a few words that name something, as in a list of keywords."""
    words = piece.rstrip(" ;").split()
    named = any(word.islower() and word.isalpha() and word not in _EMPTY for word in words)
    return 1 < len(words) <= _LONGEST_TOPIC and named and not (_PERSONAL.search(piece) or _CODE.search(piece))


def _content(piece: str) -> set[str]:
    return {word for word in _WORD.findall(piece.lower()) if word not in _EMPTY}
