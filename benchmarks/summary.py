"""What a person who decides wants to know: which retriever, how sure, at what price."""

from __future__ import annotations

from typing import Any

from benchmarks.quality import PRIMARY
from benchmarks.systems import HYBRID, RETRIEVERS, RRF

CORE = (HYBRID, *RETRIEVERS, RRF)


def best_system(quality: dict[str, Any]) -> str:
    """The system with the highest mean nDCG@10 among the index's own."""
    own: dict[str, Any] = {name: values for name, values in quality["systems"].items() if name in CORE}
    return max(own, key=lambda name: float(own[name][PRIMARY]["mean"]))


def not_told_apart(quality: dict[str, Any], system: str) -> list[str]:
    """The index's own systems that may be as good: no significant difference after correction."""
    close = []
    for each in quality["comparisons"]:
        pair = (each["first"], each["second"])
        if system in pair and set(pair) <= set(CORE) and not each["significant"]:
            close.append(pair[0] if pair[1] == system else pair[1])
    return close


def sentences(name: str, measured: dict[str, Any]) -> list[str]:
    """What was found on a collection, in plain words."""
    quality, cost = measured["quality"], measured["cost"]
    best = best_system(quality)
    values = quality["systems"][best]
    close = not_told_apart(quality, best)
    fastest = min((best, *close), key=lambda system: float(cost["latency_ms"][system]["p50"]))
    said = [
        f"On {name} ({quality['documents']:,} documents, {quality['questions']:,} questions) {best} answers best: "
        f"{values[PRIMARY]['mean']:.3f} {PRIMARY}, and {100 * values['Success@10']['mean']:.0f} % of questions find a "
        "right document among the first ten.",
        f"It takes {cost['latency_ms'][best]['p50']:.1f} ms a question on one thread "
        f"(19 of 20 questions at most {cost['latency_ms'][best]['p95']:.1f} ms).",
    ]
    if close:
        said.append(f"These questions are too few to say that it is better than {_listed(close)}.")
    else:
        said.append("That it is better than each of the others is not chance (5 %, corrected).")
    if fastest != best:
        said.append(f"Of those, {fastest} is the fastest: {cost['latency_ms'][fastest]['p50']:.1f} ms.")
    return said


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" or {names[-1]}"
