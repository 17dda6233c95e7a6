"""The README's tables: what a benchmark's file says, as rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.quality import PRIMARY
from benchmarks.report.sections import NOT_RUN, WORSE, Table, costs, worse_than_best
from benchmarks.significance import ALPHA, holm
from hybridret.errors import InputError

BETTER = "▲"
FINETUNED = re.compile(r"(?P<name>.+?) (?P<split>\S+) (?P<labels>no labels|labels)(?P<tag>.*)")
_TRAINED = re.compile(r"(?P<name>.+) (?P<split>\S+) (?P<minutes>\S+) minutes, seed (?P<seed>-?\d+)")
_ENSEMBLE, _FLAG = "LangChain ensemble", "FlagEmbedding"
_TEST = "paired t-test, 5 % after Holm's correction"


def fusion(document: Mapping[str, Any]) -> Table:
    """Single retrievers, LangChain's ensemble and the learned fusion on each collection, and the mean."""
    rows = document["result"]["test"]
    marks = _marks([row["gain"] for row in rows.values()], [row["p"] for row in rows.values()])
    cells = [
        [name, *(_value(row[each]) for each in ("bm25", "dense", _ENSEMBLE, "hybrid")), f"{row['gain']:+.3f}{mark}"]
        for (name, row), mark in zip(rows.items(), marks, strict=True)
    ]
    columns = {each: [row[each] for row in rows.values()] for each in ("bm25", "dense", _ENSEMBLE, "hybrid", "gain")}
    gain = columns.pop("gain")
    cells.append(["mean", *(_value(_mean(values)) for values in columns.values()), f"{_mean(gain):+.3f}"])
    return Table(
        "fusion",
        ["collection", "bm25", "dense", "LangChain `EnsembleRetriever`", "hybridret", "gain"],
        cells,
        f"gain: over the better one of bm25 and dense; {BETTER} significantly above it, {WORSE} below ({_TEST}).",
    )


def finetune_dense(document: Mapping[str, Any]) -> Table:
    """The dense retriever before and after fine-tuning, on each collection whose test questions were asked."""
    cells = []
    for key, entry in document["result"].items():
        named = _named(FINETUNED, key)
        if "test" not in named["split"].split("+"):
            continue
        measured = entry["systems"]["dense"]
        cells.append(
            [
                f"{named['name']} ({named['split']})",
                "yes" if named["labels"] == "labels" else "no",
                _settings(entry["recipe"]),
                f"{entry['seconds'] / 60:.0f}",
                *(cell for each in (PRIMARY, "Recall@10") for cell in _change(measured[each])),
            ]
        )
    cells.sort(key=lambda row: row[1] == "no")
    return Table(
        "finetune_dense",
        ["collection", "labels", "settings", "minutes", PRIMARY, "p", "Recall@10", "p"],
        cells,
        "p: of the paired t-test. minutes: all of the run on one core.",
    )


def docid_equal_cost(document: Mapping[str, Any]) -> Table:
    """Dense and docid trained together beside dense trained alone for as long."""
    compared: list[Mapping[str, float]] = []
    heads: list[list[str]] = []
    for key, entry in document["result"].items():
        named = _named(_TRAINED, key)
        for measure in (PRIMARY, "Recall@1"):
            alone, together = (entry[way]["systems"] for way in ("dense alone", "together"))
            rival = _value(alone["dense"][measure]["mean"])
            place = f"{named['name']} ({named['split']})"
            heads.append([place, named["minutes"], named["seed"], _shipped(entry["together"]), measure, rival])
            compared.append(alone["hybrid"][measure])
            compared += [together[system][measure] for system in ("dense", "docid", "hybrid")]
    marks = _marks([each["gain"] for each in compared], [each["p"] for each in compared])
    cells = iter([f"{each['mean']:.3f}{mark}" for each, mark in zip(compared, marks, strict=True)])
    columns = ["dense alone", "its hybrid", "together: dense", "together: docid", "together: hybrid"]
    return Table(
        "docid_equal_cost",
        ["collection", "minutes", "seed", "docids shipped", "measure", *columns],
        [[*head, *(next(cells) for _ in columns[1:])] for head in heads],
        f"{BETTER} significantly above dense trained alone, {WORSE} below ({_TEST}).",
    )


def leaderboard(document: Mapping[str, Any]) -> Table:
    """Every retriever of each collection untrained, trained on made questions, and trained on labelled ones."""
    trained = ("dense", "docid", "hybrid")
    reached = {
        (f"{name} ({entry['settings']['split']})", state): {
            system: measured[PRIMARY] for system, measured in told.get("systems", {}).items()
        }
        for name, entry in document["result"].items()
        for state, told in entry["states"].items()
    }
    compared = [
        systems[system]
        for (_, state), systems in reached.items()
        for system in trained
        if systems and state != "untrained"
    ]
    marks = iter(_marks([each["gain"] for each in compared], [each["p"] for each in compared]))
    cells = []
    for (name, state), systems in reached.items():
        values = {system: _value(systems.get(system, {}).get("mean")) for system in ("bm25", *trained)}
        if systems and state != "untrained":
            values |= {system: values[system] + next(marks) for system in trained}
        cells.append([name, state, *values.values()])
    return Table(
        "leaderboard",
        ["collection", "state", "bm25", *trained],
        cells,
        f"{PRIMARY}. {BETTER} significantly above the same retriever untrained, {WORSE} below ({_TEST}). "
        f"{NOT_RUN}: the collection has no labelled questions to train on.",
    )


def full(document: Mapping[str, Any]) -> Table:
    """What each system and peer finds, and what it costs, in one run of the whole benchmark."""
    rows = []
    for name, measured in document["collections"].items():
        quality, cost = measured["quality"], costs(measured)
        worse, systems = worse_than_best(quality), quality["systems"]
        for system in sorted(systems, key=lambda each: -float(systems[each][PRIMARY]["mean"])):
            found, mark = systems[system], f" {WORSE}" if system in worse else ""
            spent = [f"{cost[system]['latency_ms'][each]:.2f}" for each in ("p50", "p95")]
            rows.append(
                [
                    f"{name} ({quality['split']})",
                    system,
                    _value(found[PRIMARY]["mean"]) + mark,
                    _value(found["Recall@10"]["mean"]),
                    *spent,
                    f"{cost[system]['questions_a_second']:,.0f}",
                ]
            )
    return Table(
        "full",
        ["collection", "system", PRIMARY, "Recall@10", "p50 ms", "p95 ms", "questions/s"],
        rows,
        f"{WORSE} significantly below the best on {PRIMARY} (paired t-test and bootstrap, 5 % after Holm's correction)"
        ". Milliseconds at batch 1, questions a second at batch 64, one thread, the encoder's pass included.",
    )


def flag_embedding(document: Mapping[str, Any]) -> Table:
    """FlagEmbedding's fine-tuning by learning rate beside hybridret's in the same time."""
    rates = list(dict.fromkeys(rate for each in document["result"].values() for rate in each[_FLAG].get("rates", {})))
    heads: list[list[str]] = []
    ends: list[list[str]] = []
    found: list[Mapping[str, float] | None] = []
    for key, entry in document["result"].items():
        named, own = _named(_TRAINED, key), entry[_FLAG].get("rates", {})
        for measure in (PRIMARY, "Recall@1"):
            place = f"{named['name']} ({named['split']})"
            values = [_value(entry.get(each, {}).get(measure)) for each in ("untrained", "hybridret")]
            heads.append([place, named["minutes"], named["seed"], measure, values[0]])
            ends.append([values[1]])
            found += [own.get(rate, {}).get(measure) for rate in rates]
    compared = [each for each in found if each is not None]
    marks = iter(_marks([-each["hybridret's gain"] for each in compared], [each["p"] for each in compared]))
    cells = iter([NOT_RUN if each is None else f"{each['mean']:.3f}{next(marks)}" for each in found])
    return Table(
        "flag_embedding",
        ["collection", "minutes", "seed", "measure", "untrained", *(f"{_FLAG}, {each}" for each in rates), "hybridret"],
        [[*head, *(next(cells) for _ in rates), *end] for head, end in zip(heads, ends, strict=True)],
        f"By {_FLAG}'s learning rate. {BETTER} significantly above hybridret, {WORSE} below ({_TEST}).",
    )


TABLES: dict[str, Callable[[Mapping[str, Any]], Table]] = {
    "fusion": fusion,
    "finetune_dense": finetune_dense,
    "docid_equal_cost": docid_equal_cost,
    "leaderboard": leaderboard,
    "full": full,
    "flag_embedding": flag_embedding,
}
"""By benchmark its table."""


def _named(pattern: re.Pattern[str], key: str) -> dict[str, str]:
    found = pattern.fullmatch(key)
    if found is None:
        raise InputError(f"the name of an entry cannot be understood: {key!r}")
    return found.groupdict()


def _value(value: float | str | None) -> str:
    """A number, or that it was not measured."""
    return f"{value:.3f}" if isinstance(value, float) else NOT_RUN


def _mean(values: Sequence[float | str]) -> float | None:
    """The mean where all were measured."""
    numbers = [value for value in values if isinstance(value, float)]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None


def _marks(gains: Sequence[float], p_values: Sequence[float]) -> list[str]:
    """What tells significant gains and losses, corrected for all of them."""
    signs = [f" {BETTER if gain > 0 else WORSE}" for gain in gains]
    return [sign if p < ALPHA else "" for sign, p in zip(signs, holm(p_values), strict=True)]


def _change(measured: Mapping[str, float]) -> tuple[str, str]:
    p = "< .001" if measured["p"] < 0.001 else f"{measured['p']:.3f}"
    return f"{measured['before']:.3f} → {measured['after']:.3f}", p


def _shipped(trained: Mapping[str, Any]) -> str:
    """Whether the gate let trained docids pass."""
    docid = trained["docid"]
    return "yes" if docid is not None and docid["decision"]["shipped"] else "no"


def _settings(recipe: Mapping[str, Mapping[str, Any]]) -> str:
    """A recipe in a line."""
    told = [f"{stage}.{name} {value}" for stage, own in recipe.items() for name, value in own.items()]
    return ", ".join(told) or "default"
