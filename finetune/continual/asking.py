"""Questions about old and new documents: given or made, to train on and to compare models on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from finetune.continual.rows import Material
from finetune.generative.rows import question_rows, sentence_rows
from finetune.made import made_questions
from finetune.recipe import Recipe
from finetune.splitting import in_words, split
from finetune.types import LABELS, Question
from hybridret.errors import InputError
from hybridret.types import Document, Encoder, Progress

_REHEARSED = 5000
_ADDED = "the new documents were added, but nothing can be learned from them"


class Asked(NamedTuple):
    """Questions about old documents or about new ones.

    Attributes:
        train: To train on.
        held_out: To compare models on.
    """

    train: list[Question]
    held_out: list[Question]

    @property
    def kind(self) -> str:
        """``labelled`` where held-out questions are, else ``made``."""
        return "labelled" if self.held_out and self.held_out[0].source == LABELS else "made"


def ask(
    documents: Sequence[Document],
    labelled: Sequence[Question],
    new_ids: set[str],
    encoder: Encoder,
    recipe: Recipe,
    language: str,
    cache: Path,
    progress: Progress | None = None,
) -> tuple[Asked, Asked]:
    """Questions about old documents, and about new ones: those given, and made ones where these are few.

    Of old documents up to 5,000, drawn by the seed, are asked anew. A question that a new document answers is about
    new ones.

    Args:
        documents: All documents that training sees.
        labelled: Labelled questions about any of them.
        new_ids: Ids of the new ones.
        encoder: For the filter of made questions.
        recipe: How questions are made, how many are held out, and the seed.
        language: Of the bm25 stemmer, for the filter.
        cache: Where made questions are kept.
        progress: Told how far the work is.

    Raises:
        InputError: No question about the new documents was given, and they give none.
    """
    asked: list[Asked] = []
    for is_new in (False, True):
        own = [document for document in documents if (document.doc_id in new_ids) == is_new]
        given = [question for question in labelled if bool(new_ids & set(question.positives)) == is_new]
        if not is_new:
            picked = np.random.default_rng(recipe.seed).permutation(len(own))[:_REHEARSED]
            own = [own[at] for at in np.sort(picked)]
        try:
            made = made_questions(own, len(given), recipe.queries, encoder, recipe.seed, language, cache, progress)
        except InputError as error:
            if is_new:
                raise InputError(f"{_ADDED}: {error}") from error
            made = []
        asked.append(Asked(*split(given, made, recipe.gate, recipe.seed)))
    if not asked[1].train:
        raise InputError(f"{_ADDED}: there is no question about them")
    kept = {in_words(question.text) for side in asked for question in side.held_out}
    old, new = (side._replace(train=[each for each in side.train if in_words(each.text) not in kept]) for side in asked)
    return old, new


def material(
    documents: Sequence[Document],
    old: Asked,
    new: Asked,
    new_ids: set[str],
    kinds: Sequence[str],
    alterations: Mapping[str, int],
) -> Material:
    """What is learned from; see ``Material``. Documents keep their positions, and are told by the given kinds."""
    told = sentence_rows(documents, kinds)
    is_new = [documents[int(row.documents[0])].doc_id in new_ids for row in told]
    return Material(
        question_rows(new.train, documents, alterations=alterations),
        [row for row, new_one in zip(told, is_new, strict=True) if new_one],
        question_rows(old.train, documents, alterations=alterations),
        [row for row, new_one in zip(told, is_new, strict=True) if not new_one],
    )
