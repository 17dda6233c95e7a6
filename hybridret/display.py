"""What the commands show: tables and progress on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from hybridret.data.poison import Suspect
from hybridret.types import RETRIEVERS, Document, Hit, Progress
from hybridret.words import WORD

_SNIPPET, _N_TOKENS, _N_SUSPECTS = 70, 8, 5
_WIDE, _UNCUT = 100, 1000
"""From how many characters a line on there is room for the retrievers' ranks; what a line has where nothing is cut."""
_FIXED, _RANK, _LEAST_SNIPPET = 24, 8, 20
_LINE_SECONDS = 5.0
_LEAST_WORD, _LEAD = 3, 12


def make_console() -> Console:
    """The console that tables go to: as wide as the terminal or COLUMNS; without either nothing is cut."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if known else _UNCUT)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Shows on stderr how far work is: a bar with the time left for each label, or lines where that is no terminal."""
    if not sys.stderr.isatty():
        yield _progress_lines()
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        yield report


def _progress_lines(clock: Callable[[], float] = time.monotonic) -> Progress:
    """Prints a line every few seconds, none for what is done before."""
    last = clock()

    def report(label: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if now - last >= _LINE_SECONDS:
            last = now
            print(f"{label}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return report


def hits_table(title: str, hits: Sequence[Hit], documents: Sequence[Document], width: int = _WIDE) -> Table:
    """A query's hits with each retriever's rank of them.

    Ranks, scores and ids are always there whole; where room is short the retrievers' ranks go, then the passages.

    Args:
        title: The query.
        hits: Its hits.
        documents: Their documents.
        width: Characters of a line.
    """
    table = Table(title=escape(title), title_justify="left")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("document", style="bold", overflow="fold")
    longest = min(max((len(hit.doc_id) for hit in hits), default=0), width // 3)
    names = [name for name in RETRIEVERS if hits and name in hits[0].details] if width >= _WIDE else []
    room = min(_SNIPPET, width - longest - _FIXED - _RANK * len(names))
    if room >= _LEAST_SNIPPET:
        table.add_column("text", overflow="ellipsis", no_wrap=True, max_width=room)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for place, (hit, document) in enumerate(zip(hits, documents, strict=True), 1):
        ranks = [str(hit.details[name].rank or "-") for name in names]
        passage = [escape(matching_passage(document.text, title, room))] if room >= _LEAST_SNIPPET else []
        table.add_row(str(place), f"{hit.score:.3f}", escape(hit.doc_id), *passage, *ranks)
    return table


def matching_passage(text: str, query: str, width: int) -> str:
    """The part of a text on one line in which the most words of a query stand, the first such part; else its beginning.

    Args:
        text: The text.
        query: The query.
        width: Characters of the part at most.
    """
    line = " ".join(text.split())
    wanted = {word for word in WORD.findall(query.lower()) if len(word) >= _LEAST_WORD}
    places = [(match.start(), match[0]) for match in WORD.finditer(line.lower()) if match[0] in wanted]
    best, most = 0, 0
    for at, (start, _) in enumerate(places):
        words = {word for place, word in places[at:] if place + len(word) <= start + width - 2 * _LEAD}
        if len(words) > most:
            best, most = start, len(words)
    start = max(0, best - _LEAD)
    if best + _LEAD < width or not most:
        start = 0
    return ("…" if start else "") + line[start : start + width - bool(start)]


def suspect_lines(suspects: Sequence[Suspect], total: int, quarantine: Path | None) -> list[str]:
    """How many documents look poisoned, and of the first few why; nothing where none does.

    Args:
        suspects: They.
        total: How many documents were looked at.
        quarantine: The file that holds them; None: they are taken in.
    """
    if not suspects:
        return []
    fate = "taken in all the same (--quarantine FILE keeps them out)" if quarantine is None else f"held in {quarantine}"
    lines = [f"{len(suspects)} of {total} documents look poisoned, {fate}:"]
    lines += [f"  {_seen(each.document.doc_id)}: {'; '.join(each.reasons)}" for each in suspects[:_N_SUSPECTS]]
    return lines + ([f"  and {len(suspects) - _N_SUSPECTS} more"] if len(suspects) > _N_SUSPECTS else [])


def _seen(text: str) -> str:
    """A text in which what a terminal would not show, or would obey, is escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def explanation_table(reason: dict[str, Any]) -> Table:
    """Why a document is where it is: what each retriever contributed, and what that is made of.

    Args:
        reason: From ``HybridIndex.explain``.
    """
    title = (
        f"{reason['doc_id']}: rank {reason['rank']} of {reason['candidates']} candidates, score {reason['score']:.3f}"
    )
    if "log_odds" in reason:
        title += f" (log-odds {reason['log_odds']:.2f}: the contributions"
        title += f", {reason['agreement']:+.2f} for agreement, {reason['offset']:+.2f} offset)"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("", style="bold")
    for heading in ("rank", "score", "contribution"):
        table.add_column(heading, justify="right")
    table.add_column("made of", overflow="fold")
    for name, part in reason["retrievers"].items():
        numbers = (str(part["rank"] or "-"), f"{part['score']:.3f}", f"{part.get('contribution', 0.0):+.3f}")
        table.add_row(name, *numbers, escape("\n".join(_made_of(part))))
    return table


def _made_of(part: dict[str, Any]) -> Iterator[str]:
    """What a retriever's score is made of, the most telling first."""
    if part.get("evidence"):
        yield "evidence: " + ", ".join(f"{name} {value:.3g}" for name, value in part["evidence"].items())
    if "tokens" in part:
        tokens = sorted(part["tokens"], key=lambda token: -abs(token["contribution"]))[:_N_TOKENS]
        yield "tokens: " + ", ".join(f"{token['token']} {token['contribution']:+.3f}" for token in tokens)
    if part.get("terms"):
        yield "terms: " + ", ".join(f"{term} {weight:+.3f}" for term, weight in part["terms"].items())
    shared = None
    for level, step in enumerate(part.get("path", []), 1):
        if "documents" in step and step["documents"] != shared:
            shared = step["documents"]
            told = f"{shared} document{'s' * (shared != 1)}: {', '.join(step['keyphrases'])}"
            yield f"code {level}: {step['code']} (log p {step['log_prob']:.2f}), {told}"
    if shared is not None:
        yield "codes: " + " ".join(str(step["code"]) for step in part["path"])


def side_by_side(query: str, answers: dict[str, list[Hit]]) -> Table:
    """What each system answers to one query, best first."""
    table = Table(title=escape(f"“{query}”"), title_justify="left")
    for system in answers:
        table.add_column(system)
    for hits in zip(*answers.values(), strict=False):
        table.add_row(*(escape(hit.doc_id) for hit in hits))
    return table


def metrics_table(title: str, metrics: dict[str, dict[str, float]]) -> Table:
    """Measures by system."""
    table = Table(title=escape(title), title_justify="left")
    table.add_column("", style="bold")
    names = next(iter(metrics.values())).keys()
    for name in names:
        table.add_column(name.replace("latency_ms_p50", "median ms"), justify="right")
    for system, values in metrics.items():
        table.add_row(
            system, *(f"{values[name]:.1f}" if name.startswith("latency") else f"{values[name]:.3f}" for name in names)
        )
    return table


def best_system(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Which system answers best, in words."""
    means = {system: values["nDCG@10"] for system, values in metrics.items()}
    best = max(means, key=lambda system: means[system])
    others = ", ".join(f"{system} {value:.3f}" for system, value in means.items() if system != best)
    return f"{best} answers best: nDCG@10 {means[best]:.3f} ({others})."


def tell_facts(facts: Mapping[str, Any]) -> list[str]:
    """What an index holds and how it answers, in words.

    Args:
        facts: From ``HybridIndex.info``.
    """
    place = "" if facts["path"] is None else f" in {facts['path']}"
    lines = [f"{facts['documents']:,} documents{place}; model {facts['model']}, {facts['dimension']} dimensions."]
    if (prompts := facts.get("prompts")) and any(prompts.values()):
        told = "; ".join(f"before each {kind} stands {text!r}" for kind, text in prompts.items() if text)
        lines.append(f"Prompts: {told}.")
    if cut := facts["cut_by_window"]["documents"]:
        lines.append(
            f"{cut:,} documents are longer than the model's window; --chunk, or a smaller --chunk-size, helps."
        )
    docid = facts["docid"]
    trained = docid is not None and docid["trained"]
    fusion = facts["fusion"]
    if "rule" in fusion:
        lines.append(f"Dense, bm25 and docid are fused by the rule {fusion['rule']}.")
    else:
        weighed = trained and fusion["weights"].get("docid")
        lines.append(
            f"Dense{', bm25 and trained docids' if weighed else ' and bm25'} answer together"
            + (
                "."
                if weighed
                else "; docids are trained, and weigh nothing until labels show that they help."
                if trained
                else "; docids are untrained: they can be searched, and weigh nothing."
            )
        )
        lines.append(
            fusion.get("reason") or "The weights are those that fit corpora at large; nothing was fitted here."
        )
    if facts.get("updates"):
        lines.append(f"It has gone on learning {len(facts['updates'])} times (finetune --continue).")
    lines.append("All facts: hybridret info --verbose, or --json.")
    return lines


def facts_table(title: str, facts: dict[str, Any]) -> Table:
    """Nested facts, one a row, named by their path."""
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column("", style="bold")
    table.add_column("", overflow="fold")
    for name, value in _flat(facts):
        table.add_row(escape(name), escape(str(value)))
    return table


def _flat(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield prefix + name, "; ".join(", ".join(f"{key} {item[key]:.4g}" for key in item) for item in value)
        else:
            yield prefix + name, value
