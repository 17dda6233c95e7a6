"""How far documents climb that were written to be found: keyword stuffing, hidden keywords, copied questions."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import PRIMARY
from benchmarks.robustness import part_of
from benchmarks.subject import Subject, open_subject
from benchmarks.systems import own_systems, run
from hybridret.bm25.tokenizer import STOP_WORDS
from hybridret.data.dataset import Dataset
from hybridret.evaluation import measure_run
from hybridret.types import Document, Progress

Spoil = Callable[[str, str], str]
"""Takes the attacker's text and the question that it shall be found for."""

QUESTIONS, SEED, TIMES, PREFIX = 50, 0, 10, "poison:"
_HIDING_LINES = 40


def stuffed(text: str, question: str) -> str:
    """The question's words, stop words left out, ten times after the text."""
    words = [word for word in question.split() if word.lower() not in STOP_WORDS] or question.split()
    return f"{text} {' '.join(words * TIMES)}"


def hidden(text: str, question: str) -> str:
    """The question's words once, in a comment far below the text, where no reader looks."""
    return text + "\n" * _HIDING_LINES + f"<!-- {question} -->"


def copied(text: str, question: str) -> str:
    """The question itself, then the text: what deceives encoders most."""
    return f"{question} {text}"


ATTACKS: dict[str, Spoil] = {"stuffed keywords": stuffed, "hidden keywords": hidden, "copied question": copied}


def poisoned(subject: Subject, dataset: Dataset, attack: str) -> list[Document]:
    """A document a question, made from the text of one that has nothing to do with it.

    Args:
        subject: The collection.
        dataset: The questions.
        attack: A name of ``ATTACKS``.
    """
    generator = np.random.default_rng(SEED)
    documents = subject.collection.documents
    found = []
    for query, question in dataset.queries.items():
        judged = dataset.qrels[query]
        others = [document for document in documents if document.doc_id not in judged]
        text = others[int(generator.integers(len(others)))].text if others else ""
        found.append(Document(f"{PREFIX}{query}", ATTACKS[attack](text, question), {}))
    return found


def poisoning(subject: Subject, progress: Progress | None = None) -> dict[str, Any]:
    """Adds poisoned documents to a copy of the index, one attack at a time.

    Args:
        subject: The index and its questions, of which at most 50 are drawn.
        progress: Told how far the work is.

    Returns:
        nDCG@10 before; by attack and system the share of questions that find their poisoned document first and among
        the first ten, and nDCG@10 with it.
    """
    dataset = part_of(subject.collection, QUESTIONS)
    found: dict[str, Any] = {"questions": len(dataset.queries), "before": {}, "attacks": {}}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(subject.bundle, copy)
        spoilt = open_subject(subject.collection, copy, subject.index.encoder)
        systems = own_systems(spoilt.index)
        found["before"] = {name: _values(run(search, dataset.queries), dataset) for name, search in systems.items()}
        for done, attack in enumerate(ATTACKS, 1):
            added = spoilt.index.add(poisoned(subject, dataset, attack))
            found["attacks"][attack] = {
                name: _climbed(run(search, dataset.queries), dataset) for name, search in systems.items()
            }
            spoilt.index.delete(added)
            if progress is not None:
                progress("poisoned documents", done, len(ATTACKS))
    return found


def _climbed(answers: dict[str, dict[str, float]], dataset: Dataset) -> dict[str, float]:
    places = [
        list(answer).index(PREFIX + query) + 1 if PREFIX + query in answer else np.inf
        for query, answer in answers.items()
    ]
    return {
        "first": float(np.mean([place == 1 for place in places])),
        "among ten": float(np.mean([place <= 10 for place in places])),
        PRIMARY: _values(answers, dataset),
    }


def _values(answers: dict[str, dict[str, float]], dataset: Dataset) -> float:
    return float(np.mean(list(measure_run(answers, dataset, (PRIMARY,))[PRIMARY].values())))
