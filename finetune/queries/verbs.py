"""Base forms of English past-tense verbs."""

from __future__ import annotations

import re

_IRREGULAR = """
arose arise, ate eat, awoke awake, bade bid, became become, began begin, bent bend, bet bet, bit bite, bled bleed,
blew blow, bore bear, bought buy, bound bind, broke break, brought bring, built build, burnt burn, burst burst, came
come, cast cast, caught catch, chose choose, clung cling, cost cost, crept creep, cut cut, dealt deal, did do, dreamt
dream, drew draw, drank drink, drove drive, dug dig, dwelt dwell, fed feed, fell fall, felt feel, fled flee, flew fly,
flung fling, forgave forgive, forgot forget, fought fight, found find, froze freeze, gave give, got get, grew grow,
ground grind, had have, heard hear, held hold, hid hide, hit hit, hung hang, hurt hurt, kept keep, knelt kneel, knew
know, laid lay, lay lie, leapt leap, learnt learn, led lead, left leave, lent lend, let let, lit light, lost lose,
made make, meant mean, met meet, overcame overcome, paid pay, put put, ran run, rang ring, read read, rode ride, rose
rise, said say, sang sing, sank sink, sat sit, saw see, sent send, set set, shone shine, shook shake, shot shoot,
showed show, shut shut, slept sleep, slid slide, sold sell, sought seek, spent spend, split split, spoke speak, sprang
spring, spread spread, stole steal, stood stand, stuck stick, struck strike, stung sting, swam swim, swept sweep,
swore swear, swung swing, taught teach, thought think, threw throw, told tell, took take, tore tear, underwent
undergo, understood understand, undertook undertake, went go, wept weep, woke wake, won win, wore wear, wove weave,
wrote write, wrung wring

"""
IRREGULAR: dict[str, str] = dict(pair.split() for pair in _IRREGULAR.replace("\n", " ").split(","))
"""Base form by irregular past form."""

_DOUBLED = ("bb", "dd", "gg", "mm", "nn", "pp", "rr", "tt")
_WANTS_E = re.compile(
    r"(?:[szcvu]|(?:^|[^aeiou]|[aeiou]i|cre|ine)at|[^aeiou](?:in|ir|ar|ad|am)|[^aeo]ur|um|[bdfgkptz]l|[aeiu]ng|dg|rg|"
    r"[^aeiou]ag|plor|stor|gnor|scap|unit|invit|cit|quot|not|ud|id|^[^aeiou]+[aiou][bdgklmnprt])$"
)
_WANTS_NONE = re.compile(r"(?:ss|x|w|y|avoid|solicit)$")


def base_form(past: str) -> str | None:
    """The base form of a past-tense verb, by a list of irregular ones and spelling rules.

    Args:
        past: A lower-cased word.

    Returns:
        The base form, None where the word does not look like a past tense.
    """
    if past in IRREGULAR:
        return IRREGULAR[past]
    if not past.endswith("ed") or len(past) < 4:
        return None
    if past.endswith("eed") or (past.endswith("ied") and len(past) == 4):
        return past[:-1]
    if past.endswith("ied"):
        return past[:-3] + "y"
    stem = past[:-2]
    if stem.endswith(_DOUBLED) and stem not in ("add", "err"):
        return stem[:-1]
    return stem + "e" if _WANTS_E.search(stem) and not _WANTS_NONE.search(stem) else stem
