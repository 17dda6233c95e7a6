"""Soft labels of candidates, and what they say against negatives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from finetune.teachers.config import LabelsConfig
from finetune.types import Question
from hybridret.types import Document, Progress

Labels = dict[str, dict[str, float]]


def soft_labels(
    questions: Sequence[Question],
    documents: Sequence[Document],
    negatives: Mapping[str, Sequence[str]],
    config: LabelsConfig,
    cache: Path,
    progress: Progress | None = None,
) -> Labels:
    """Asks the teacher about each question's positives and negatives.

    Args:
        questions: The questions.
        documents: The corpus.
        negatives: Ids of negatives by question id.
        config: Which teacher.
        cache: Folder of scores by content.
        progress: Told how far the work is.

    Returns:
        By question id and document id, without the pairs that the teacher's budget left out; empty without a teacher.
    """
    if config.teacher is None:
        return {}
    from finetune.teachers import CachedTeacher, make_teacher

    texts = {document.doc_id: document.text for document in documents}
    candidates = {
        question.query_id: [
            name
            for name in dict.fromkeys([*question.positives, *negatives.get(question.query_id, ())])
            if name in texts
        ]
        for question in questions
    }
    teacher = CachedTeacher(make_teacher(config), cache / "teacher.sqlite", config.budget, progress)
    scores = teacher.score(
        [question.text for question in questions],
        [[texts[name] for name in candidates[question.query_id]] for question in questions],
        [question.answer for question in questions],
    )
    return {
        question.query_id: {
            name: score for name, score in zip(candidates[question.query_id], row, strict=True) if math.isfinite(score)
        }
        for question, row in zip(questions, scores, strict=True)
    }


def denoised(
    negatives: Mapping[str, Sequence[str]], labels: Labels, questions: Sequence[Question], margin: float | None
) -> dict[str, list[str]]:
    """Leaves out negatives that the teacher holds for answers.

    Qu et al., "RocketQA: An Optimized Training Approach to Dense Passage Retrieval", 2021, section 4.2.

    Args:
        negatives: Ids of negatives by question id.
        labels: Soft labels.
        questions: The questions, for their positives.
        margin: How much lower than the best positive's a negative's label must be; None leaves all.
    """
    if margin is None or not labels:
        return {name: list(found) for name, found in negatives.items()}
    kept = {}
    for question in questions:
        scores = labels.get(question.query_id, {})
        best = max((scores[name] for name in question.positives if name in scores), default=float("inf"))
        kept[question.query_id] = [
            name for name in negatives.get(question.query_id, []) if scores.get(name, float("-inf")) < best - margin
        ]
    return kept
