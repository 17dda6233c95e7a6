"""What is left of the quality when questions are misspelt, reordered or reworded, at graded strength."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.collection import Collection
from benchmarks.cost import drawn
from benchmarks.quality import PRIMARY
from benchmarks.subject import Subject
from benchmarks.systems import Search, own_systems, run
from finetune.queries.noise import NEIGHBOURS, typo
from finetune.queries.synonyms import SYNONYMS
from hybridret.data.dataset import Dataset
from hybridret.evaluation import measure_run
from hybridret.types import Progress

Perturb = Callable[[str, float, random.Random], str]
"""Takes a question, which share of it to change, and a source of random numbers."""

STRENGTHS, QUESTIONS, SEED = (0.1, 0.3, 0.5), 200, 0


def typos(text: str, share: float, source: random.Random) -> str:
    """Slips in words of at least four letters: as many as the share of its words, at least one."""
    for _ in range(_count(share, len(text.split()))):
        text = typo(text, source)
    return text


def keyboard(text: str, share: float, source: random.Random) -> str:
    """Letters become neighbours on the keyboard: a third of the share, since a word has several letters."""
    letters = [at for at, letter in enumerate(text) if letter.lower() in NEIGHBOURS]
    changed = list(text)
    for at in source.sample(letters, min(len(letters), _count(share / 3, len(letters)))):
        changed[at] = source.choice(NEIGHBOURS[text[at].lower()])
    return "".join(changed)


def word_order(text: str, share: float, source: random.Random) -> str:
    """The share of its words, at least two, change places among each other."""
    words = text.split()
    if len(words) < 2:
        return text
    places = sorted(source.sample(range(len(words)), max(2, _count(share, len(words)))))
    moved = [words[place] for place in places[1:] + places[:1]]
    for place, word in zip(places, moved, strict=True):
        words[place] = word
    return " ".join(words)


def synonyms(text: str, share: float, source: random.Random) -> str:
    """The share of its words, where there are so many with an everyday synonym, become one."""
    places = [match for match in re.finditer(r"[A-Za-z]+", text) if match.group().lower() in SYNONYMS]
    chosen = source.sample(places, min(len(places), _count(share, len(text.split()))))
    for place in sorted(chosen, key=lambda match: -match.start()):
        other = source.choice(SYNONYMS[place.group().lower()])
        text = text[: place.start()] + other + text[place.end() :]
    return text


def dropped_words(text: str, share: float, source: random.Random) -> str:
    """Without the share of its words; one is always left."""
    words = text.split()
    kept = sorted(source.sample(range(len(words)), max(1, len(words) - _count(share, len(words)))))
    return " ".join(words[place] for place in kept)


PERTURBATIONS: dict[str, Perturb] = {
    "typos": typos,
    "keyboard": keyboard,
    "word order": word_order,
    "synonyms": synonyms,
    "dropped words": dropped_words,
}


def robustness(subject: Subject, progress: Progress | None = None) -> dict[str, Any]:
    """Measures the index's systems on perturbed questions.

    Args:
        subject: The index and its questions, of which at most 200 are drawn.
        progress: Told how far the work is.

    Returns:
        nDCG@10 as asked; by perturbation and strength the share of questions that it changed and by system nDCG@10 and
        what share is kept; and by system ``RobustScore``: the mean of these shares.
    """
    dataset = part_of(subject.collection, QUESTIONS)
    systems = own_systems(subject.index)
    asked = {name: _mean(search, dataset) for name, search in systems.items()}
    found: dict[str, dict[str, Any]] = {}
    kept: dict[str, list[float]] = {name: [] for name in systems}
    for done, (kind, strength) in enumerate((kind, each) for kind in PERTURBATIONS for each in STRENGTHS):
        changed = perturbed(dataset, kind, strength)
        values = {name: _mean(search, changed) for name, search in systems.items()}
        shares = {name: value / asked[name] if asked[name] else 1.0 for name, value in values.items()}
        for name, share in shares.items():
            kept[name].append(share)
        is_changed = [changed.queries[query] != text for query, text in dataset.queries.items()]
        found.setdefault(kind, {})[f"{strength:g}"] = {
            "changed": float(np.mean(is_changed)),
            "systems": {name: {PRIMARY: values[name], "kept": shares[name]} for name in systems},
        }
        if progress is not None:
            progress("perturbed questions", done + 1, len(PERTURBATIONS) * len(STRENGTHS))
    return {
        "questions": len(dataset.queries),
        "as asked": asked,
        "perturbations": found,
        "RobustScore": {name: float(np.mean(shares)) for name, shares in kept.items()},
    }


def perturbed(dataset: Dataset, kind: str, strength: float) -> Dataset:
    """The questions after a perturbation, the same every time."""
    change = PERTURBATIONS[kind]
    return dataset._replace(
        queries={
            query: change(text, strength, random.Random(f"{SEED} {kind} {strength} {query}"))
            for query, text in dataset.queries.items()
        }
    )


def part_of(collection: Collection, n_questions: int) -> Dataset:
    """At most so many of a collection's questions, drawn by a fixed seed."""
    dataset = collection.dataset
    chosen = drawn(list(dataset.queries), n_questions)
    return Dataset(
        {query: dataset.queries[query] for query in chosen}, {query: dataset.qrels[query] for query in chosen}, 0
    )


def _mean(search: Search, dataset: Dataset) -> float:
    values = measure_run(run(search, dataset.queries), dataset, (PRIMARY,))[PRIMARY]
    return float(np.mean(list(values.values())))


def _count(share: float, total: int) -> int:
    return max(1, round(share * total))
