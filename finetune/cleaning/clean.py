"""The cleaning stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from finetune.cleaning.boilerplate import cut_lines, find_boilerplate
from finetune.cleaning.config import CleanConfig
from finetune.cleaning.duplicates import exact_duplicates, near_duplicates
from finetune.cleaning.garbled import find_garbled
from finetune.cleaning.labels import map_documents, remove_leaks, resolve_conflicts
from finetune.cleaning.language import find_foreign
from finetune.cleaning.report import CleanReport, Drop
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document


class Cleaned(NamedTuple):
    """What training sees.

    Attributes:
        documents: Training texts, with the ids of their documents.
        questions: Questions whose positives and negatives are ids of these texts.
        report: What was left out or changed, and why.
    """

    documents: list[Document]
    questions: list[Question]
    report: CleanReport


def clean(
    documents: Sequence[Document],
    questions: Iterable[Question] = (),
    config: CleanConfig | None = None,
    held_out: Iterable[Question] = (),
) -> Cleaned:
    """Cleans what a model is trained on.

    This is for training alone: an index must keep all the documents it was given, also those that are left out here.
    Documents that a label names are never left out as garbled or foreign. A positive that is left out as a copy
    becomes the kept copy.

    Args:
        documents: Documents with distinct ids.
        questions: Labelled questions to train on.
        config: What is left out.
        held_out: Questions that the result is measured on; none of them may be trained on.

    Returns:
        Training texts, questions and the report.

    Raises:
        InputError: There are no documents, or not two that differ.
    """
    config, given = config or CleanConfig(), list(questions)
    if not documents:
        raise InputError("there are no documents to train on")
    drops: list[Drop] = []
    labelled = {name for question in given for name in question.positives + question.negatives}
    kept = _readable(documents, labelled, config, drops)
    kept = _without_boilerplate(kept, config, drops)
    copies = _copies(kept, config)
    drops += [
        Drop("document", name, "exact copy" if exact else "near copy", of) for name, (of, exact) in copies.items()
    ]
    kept = [document for document in kept if document.doc_id not in copies]
    if len(kept) < 2:
        raise InputError(
            f"training needs at least two documents that differ; of {len(documents)} only {len(kept)} is left"
            if kept
            else f"training needs at least two documents that differ; none of {len(documents)} holds readable text"
        )
    kept_copy = {name: of for name, (of, _) in copies.items()}
    asked = map_documents(given, kept_copy, {document.doc_id for document in kept}, drops)
    asked = resolve_conflicts(asked, drops)
    if config.leaks:
        asked = remove_leaks(asked, held_out, drops)
    report = CleanReport(len(documents), len(kept), len(given), len(asked), tuple(drops), kept_copy)
    return Cleaned(kept, asked, report)


def _readable(
    documents: Sequence[Document], labelled: set[str], config: CleanConfig, drops: list[Drop]
) -> list[Document]:
    texts = [document.text for document in documents]
    found = {position: ("garbled", why) for position, why in find_garbled(texts).items()} if config.garbled else {}
    if config.language == "majority":
        for position, what in find_foreign(texts).items():
            found.setdefault(position, ("wrong language", what))
    kept = []
    for position, document in enumerate(documents):
        if position in found and document.doc_id not in labelled:
            drops.append(Drop("document", document.doc_id, *found[position]))
        else:
            kept.append(document)
    return kept


def _without_boilerplate(documents: list[Document], config: CleanConfig, drops: list[Drop]) -> list[Document]:
    if not config.boilerplate:
        return documents
    lines = find_boilerplate([document.text for document in documents], config.boilerplate)
    if not lines:
        return documents
    cleaned = []
    for document in documents:
        text = cut_lines(document.text, lines)
        if text != document.text:
            drops.append(Drop("document", document.doc_id, "boilerplate cut", f"{len(document.text)} to {len(text)}"))
        cleaned.append(document._replace(text=text))
    return cleaned


def _copies(documents: list[Document], config: CleanConfig) -> dict[str, tuple[str, bool]]:
    """Kept document, and whether the copy is exact, by the id of each copy."""
    ids, texts = [document.doc_id for document in documents], [document.text for document in documents]
    exact = exact_duplicates(texts) if config.exact_duplicates else {}
    if not config.near_duplicates:
        return {ids[copy]: (ids[first], True) for copy, first in exact.items()}
    rest = [position for position in range(len(ids)) if position not in exact]
    found = near_duplicates([texts[position] for position in rest], config.near_duplicates, config.seed)
    near = {rest[copy]: rest[first] for copy, first in found.items()}
    copies = {copy: (near.get(first, first), True) for copy, first in exact.items()}
    copies |= {copy: (first, False) for copy, first in near.items()}
    return {ids[copy]: (ids[first], is_exact) for copy, (first, is_exact) in sorted(copies.items())}
