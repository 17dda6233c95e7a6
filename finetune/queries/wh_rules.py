"""Turning English statements into questions, by rules."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import NamedTuple

from finetune.queries.text import as_query
from finetune.queries.verbs import base_form

_AUXILIARY = frozenset("is are was were can could will would should may might must has have had".split())  # noqa: SIM905
_PEOPLE = frozenset(
    """
    man woman boy girl king queen prince princess father mother son daughter brother sister wife husband child
    children people person lady lord knight servant maiden fisherman hunter farmer soldier merchant priest witch giant
    dwarf fairy master doctor patient patients author authors user users student students teacher student wolf fox
    bear lion cat dog bird horse old young youth fellow peasant shepherd miller tailor emperor bride bridegroom boys
    girls men women brothers sisters

    """.split()  # noqa: SIM905
)
_PRONOUNS = frozenset(("he", "she", "they"))
_SUBJECT = re.compile(
    r"(?P<subject>(?:(?:[Tt]he|[Aa]n?|[Hh]is|[Hh]er|[Tt]heir|[Mm]y|[Tt]his|[Tt]hese|[Oo]ur) (?:[\w'’-]+ ){1,3}?)|"
    r"(?:[A-Z][\w'’-]*\.? (?:(?:the |of )?[A-Z][\w'’-]*\.? ){0,3})|(?:[Hh]e |[Ss]he |[Tt]hey ))"
    r"(?P<adverb>(?:(?:also|then|at once|soon|never|always|often|only|just|now|quickly|still) ))?"
    r"(?P<verb>[a-z]+)\b(?P<rest>.*)",
    re.DOTALL,
)
_NO_SUBJECT = frozenset(
    """
    when then after before while if as but and so there here now what how why where once in on at by for from with to
    one yes no oh well this that these those despite although though however furthermore moreover during since because
    under among through using many some most all each every both such thus hence therefore nor or not until i we you
    it its in let

    """.split()  # noqa: SIM905
)
_TIME_CLAUSE = re.compile(
    r"(?P<word>[Ww]hen|[Aa]fter|[Bb]efore|[Ww]hile|[Aa]s soon as|[Oo]nce) (?P<clause>[^,;]{10,120}), (?P<main>.{8,})",
    re.DOTALL,
)
_LATE_TIME_CLAUSE = re.compile(
    r"(?P<main>.{8,}?),? (?P<word>when|after|before|while|until) (?P<clause>.{8,})", re.DOTALL
)
_CAUSE = re.compile(r",? (?:because|since|in order to|so that|due to|owing to) ")
_PLACE = re.compile(
    r" (?:in|into|on|at|to|under|through|near|behind|beside|upon|from|over) (?:the|a|an|his|her|their) [\w' -]+$"
)
_OBJECT = re.compile(
    r"(?P<thing>(?:the|an?|his|her|their|its|some|many|two|three) (?:[\w'-]+ ){0,2}?[\w'-]+)"
    r"(?P<rest>| (?:in|into|on|at|to|under|through|with|from|for|over|of|when|after|before|and) .*)$",
    re.DOTALL,
)
_FEELS = frozenset(("was", "were", "is", "are", "felt", "became"))
_FEELING = re.compile(
    r"(?P<feeling>(?:so |very |much |quite |too )*(?:happy|sad|angry|afraid|glad|pleased|sorry|frightened|proud|"
    r"lonely|delighted|surprised|astonished|worried|ashamed|jealous|terrified|curious|tired|excited|upset|furious|"
    r"satisfied|miserable|joyful|grateful|disappointed|scared|anxious|thankful|unhappy|content|amazed|hungry))\b"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_LONGEST = 24


class Statement(NamedTuple):
    """A sentence with the parts that questions are made of.

    Attributes:
        subject: Who or what.
        verb: The finite verb, one word.
        rest: What follows, without the mark at the end.
    """

    subject: str
    verb: str
    rest: str


class Asked(NamedTuple):
    """A question and what answers it."""

    question: str
    answer: str


def questions_about(sentence: str, common: Container[str] = frozenset()) -> Iterator[Asked]:
    """Asks for the subject, cause, place, time, action or consequence that a sentence tells.

    Args:
        sentence: One English sentence.
        common: Words that the collection also writes in lower case, so that a capital does not make them names.

    Yields:
        Questions of at most 24 words, without a question mark, with their answers.
    """
    for asked in (*_about_time(sentence), *_about_parts(sentence, common)):
        question = as_query(asked.question.replace('"', " ").replace(" ,", ",")).rstrip("?!")
        if 2 < len(question.split()) <= _LONGEST and asked.answer.strip():
            yield Asked(question, as_query(asked.answer))


def _about_time(sentence: str) -> Iterator[Asked]:
    early = _TIME_CLAUSE.match(sentence)
    late = None if early else _LATE_TIME_CLAUSE.fullmatch(sentence.rstrip(".!?"))
    found = early or late
    if found is None:
        return
    word, clause, main = found["word"].lower(), found["clause"].strip(), found["main"].strip()
    yield Asked(f"what happened {word} {clause}", main)
    statement = parse(main)
    if statement is not None:
        yield Asked(f"when {_inverted(statement)}", f"{word} {clause}")
        if (base := base_form(statement.verb)) and statement.verb not in _AUXILIARY:
            yield Asked(f"what did {statement.subject} do {word} {clause}", f"{base} {statement.rest}")


def _about_parts(sentence: str, common: Container[str]) -> Iterator[Asked]:
    statement = parse(sentence)
    if statement is None:
        return
    yield Asked(f"{_who(statement.subject, common)} {statement.verb} {statement.rest}", statement.subject)
    if cause := _CAUSE.search(statement.rest):
        effect = statement._replace(rest=statement.rest[: cause.start()])
        yield Asked(f"why {_inverted(effect)}", statement.rest[cause.start() :])
    if (place := _PLACE.search(statement.rest)) and base_form(statement.verb):
        yield Asked(f"where {_inverted(statement._replace(rest=statement.rest[: place.start()]))}", place.group())
    if (thing := _OBJECT.match(statement.rest)) and base_form(statement.verb) and statement.verb not in _AUXILIARY:
        yield Asked(f"what did {statement.subject} {base_form(statement.verb)} {thing['rest']}", thing["thing"])
    if statement.verb in _FEELS and (feeling := _FEELING.match(statement.rest)):
        yield Asked(f"how did {statement.subject} feel {feeling['rest']}", feeling["feeling"])
    elif statement.verb in ("is", "are", "was", "were"):
        if re.match(r"(?:an?|the) ", statement.rest):
            yield Asked(f"what {statement.verb} {statement.subject}", statement.rest)
        else:
            yield Asked(f"how {_inverted(statement)}", statement.rest)
    elif base_form(statement.verb):
        yield Asked(f"why {_inverted(statement)}", sentence)


def parse(sentence: str) -> Statement | None:
    """Takes a plain statement apart; None where the sentence is none, or none that the rules understand."""
    found = _SUBJECT.match(sentence.strip())
    if found is None:
        return None
    subject, verb, rest = found["subject"].strip(), found["verb"], found["rest"].strip()
    first = subject.split()[0]
    is_adverb = first.endswith(("ly", "ing")) and first.lower() not in _PEOPLE
    if first.lower() in _NO_SUBJECT or is_adverb or rest.endswith("?") or not rest:
        return None
    if verb not in _AUXILIARY and base_form(verb) is None:
        return None
    if first.lower() in {"the", "a", "an", "his", "her", "their", "my", "he", "she", "they", "it", "our"}:
        subject = first.lower() + subject[len(first) :]
    return Statement(subject, verb, rest.rstrip(" .!;:"))


def _inverted(statement: Statement) -> str:
    subject, verb, rest = statement
    if verb in _AUXILIARY and not (verb in ("had", "has", "have") and not re.match(r"(?:not )?\w+(?:ed|en|n)\b", rest)):
        return f"{verb} {subject} {rest}"
    return f"did {subject} {base_form(verb) or verb} {rest}"


def _who(subject: str, common: Container[str]) -> str:
    words = subject.lower().split()
    is_person = words[-1] in _PEOPLE or words[0] in _PRONOUNS or any(word in _PEOPLE for word in words[:3])
    is_name = subject[0].isupper() and not any(word in common for word in words) and len(words) <= 3
    return "who" if is_person or is_name else "what"
