"""Labels that conflict, leak, or name documents that training does not see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from finetune.cleaning.normal import normal_form
from finetune.cleaning.report import Drop
from finetune.types import Question


def map_documents(
    questions: Iterable[Question], copies: Mapping[str, str], known: Collection[str], drops: list[Drop]
) -> list[Question]:
    """Replaces copies by the documents kept for them and removes documents that do not exist.

    Args:
        questions: What was given.
        copies: Id of the kept document by the id of each left-out copy.
        known: Ids of all documents that are kept.
        drops: Where changes are noted.

    Returns:
        The questions that still have a positive and a text.
    """
    kept = []
    for question in questions:
        if not question.text.strip():
            drops.append(Drop("question", question.query_id, "empty text"))
            continue
        missing = [name for name in question.positives + question.negatives if copies.get(name, name) not in known]
        drops += [Drop("label", question.query_id, "document not in the corpus", name) for name in missing]
        mapped = question._replace(
            positives=_mapped(question.positives, copies, known),
            negatives=_mapped(question.negatives, copies, known),
            grades=rename_grades(question.grades, copies),
        )
        copied = [name for name in question.positives if name in copies]
        drops += [Drop("label", question.query_id, "positive is a copy", name) for name in copied]
        if mapped.positives:
            kept.append(mapped)
        else:
            reason = "no positive in the corpus" if question.positives else "no positive"
            drops.append(Drop("question", question.query_id, reason))
    return kept


def rename_grades(grades: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    """Grades by the new names of their documents, the highest one where several get one name."""
    renamed: dict[str, int] = {}
    for name, grade in grades.items():
        new = names.get(name, name)
        renamed[new] = max(grade, renamed.get(new, grade))
    return renamed


def _mapped(names: Iterable[str], copies: Mapping[str, str], known: Collection[str]) -> tuple[str, ...]:
    mapped = dict.fromkeys(copies.get(name, name) for name in names)
    return tuple(name for name in mapped if name in known)


def resolve_conflicts(questions: Sequence[Question], drops: list[Drop]) -> list[Question]:
    """Merges questions of the same words and task, and removes negatives that are positives of the same words.

    Args:
        questions: Questions whose documents exist.
        drops: Where changes are noted.

    Returns:
        One question for each text in normal form and task: the first one's id, all positives, and the negatives that
        are no positives.
    """
    merged: dict[tuple[str, str], Question] = {}
    for question in questions:
        key = (question.task, normal_form(question.text))
        first = merged.get(key)
        if first is not None:
            drops.append(Drop("question", question.query_id, "asked before", first.query_id))
            question = first._replace(  # noqa: PLW2901
                positives=tuple(dict.fromkeys(first.positives + question.positives)),
                negatives=tuple(dict.fromkeys(first.negatives + question.negatives)),
                answer=first.answer if first.answer is not None else question.answer,
                grades={
                    name: max(first.grades.get(name, 1), question.grades.get(name, 1))
                    for name in {**first.grades, **question.grades}
                },
            )
        merged[key] = question
    return [_without_conflict(question, drops) for question in merged.values()]


def _without_conflict(question: Question, drops: list[Drop]) -> Question:
    positives = set(question.positives)
    conflicting = [name for name in question.negatives if name in positives]
    drops += [Drop("label", question.query_id, "a positive was also a negative", name) for name in conflicting]
    return question._replace(negatives=tuple(name for name in question.negatives if name not in positives))


def remove_leaks(questions: Iterable[Question], held_out: Iterable[Question], drops: list[Drop]) -> list[Question]:
    """Removes questions that are asked, in the same words, among the held-out ones.

    Args:
        questions: Questions to train on.
        held_out: Questions that the result is measured on.
        drops: Where changes are noted.

    Returns:
        The other questions.
    """
    secret = {normal_form(question.text): question.query_id for question in held_out}
    kept = []
    for question in questions:
        leak = secret.get(normal_form(question.text))
        if leak is None:
            kept.append(question)
        else:
            drops.append(Drop("question", question.query_id, "is a held-out question", leak))
    return kept
