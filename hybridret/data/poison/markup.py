"""Text that a page holds and does not show: comments, hidden elements, keyword lists for machines, far-off text."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)([^<>]*)>")
_HIDING_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?:\.0*)?(?![\d.])|"
    r"opacity\s*:\s*0(?:\.0*)?(?![\d.])|(?:text-indent|left|top|right|bottom|margin-left)\s*:\s*-\d{3,}|"
    r"clip\s*:\s*rect\(\s*0",
    re.IGNORECASE,
)
_STYLE = re.compile(r"\bstyle\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_HIDDEN_ATTRIBUTE = re.compile(r"(?:^|\s)hidden(?=\s|$|=|/)", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_KEYWORDS = re.compile(r"\bname\s*=\s*[\"']?keywords\b", re.IGNORECASE)
_CONTENT = re.compile(r"\bcontent\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_MARKDOWN_COMMENT = re.compile(r"^[ ]{0,3}\[(?://|comment)\]:[ \t]*(?:#|<>)[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_GAP = re.compile(r"\s{20,}")
_BLANK_LINES, _BLANKS = 20, 200
_OPEN, _CLOSE = "<!--", "-->"


def commented(text: str) -> str:
    """What stands in HTML or Markdown comments; one that does not end hides all that follows."""
    found, at = [], text.find(_OPEN)
    while at >= 0:
        end = text.find(_CLOSE, at + len(_OPEN))
        found.append(text[at + len(_OPEN) : end if end >= 0 else len(text)])
        at = text.find(_OPEN, end) if end >= 0 else -1
    if "]:" in text:
        found += _MARKDOWN_COMMENT.findall(text)
    return " ".join(found)


def undisplayed(text: str) -> str:
    """What stands in elements whose style or attribute hides them, and in keyword metadata of a page."""
    found: list[str] = []
    if "<" not in text:
        return ""
    hiding: str | None = None
    depth = start = 0
    for tag in _TAG.finditer(text):
        closes, name, attributes = tag[1] == "/", tag[2].lower(), tag[3]
        if hiding is None:
            if not closes and name == "meta" and _KEYWORDS.search(attributes):
                found += ["".join(each) for each in _CONTENT.findall(attributes)]
            elif not closes and not attributes.endswith("/") and _hides(attributes):
                hiding, depth, start = name, 1, tag.end()
        elif name == hiding:
            depth += -1 if closes else 1
            if not depth:
                found.append(text[start : tag.start()])
                hiding = None
    if hiding is not None:
        found.append(text[start:])
    return _TAG.sub(" ", " ".join(found))


def far_off(text: str) -> str:
    """What follows so many blank lines, or blanks in one line, that no reader looks there."""
    for gap in _GAP.finditer(text):
        if gap[0].count("\n") >= _BLANK_LINES or max(map(len, gap[0].split("\n"))) >= _BLANKS:
            return text[gap.end() :]
    return ""


def _hides(attributes: str) -> bool:
    if any(_HIDING_STYLE.search("".join(style)) for style in _STYLE.findall(attributes)):
        return True
    return _HIDDEN_ATTRIBUTE.search(_QUOTED.sub('""', attributes)) is not None
