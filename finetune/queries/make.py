"""Making a mix of questions for a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from finetune.cleaning.normal import normal_form
from finetune.queries.cache import CachedMaker
from finetune.queries.code import CodeMaker
from finetune.queries.config import QueriesConfig
from finetune.queries.extractive import SentenceMaker, SpanMaker, TitleMaker
from finetune.queries.keyphrase_makers import ClozeMaker, KeyphraseMaker
from finetune.queries.metadata import MetadataMaker
from finetune.queries.question_makers import RuleMaker, TopicMaker
from finetune.queries.rewrites import RewriteMaker
from finetune.types import QueryMaker, Question
from hybridret.errors import InputError
from hybridret.types import Document, Progress

MAKERS: dict[str, Callable[[QueriesConfig], QueryMaker]] = {
    "titles": lambda config: TitleMaker(),
    "sentences": lambda config: SentenceMaker(),
    "spans": lambda config: SpanMaker(),
    "keyphrases": lambda config: KeyphraseMaker(),
    "cloze": lambda config: ClozeMaker(),
    "questions": lambda config: RuleMaker(),
    "topics": lambda config: TopicMaker(),
    "code": lambda config: CodeMaker(),
    "templates": lambda config: MetadataMaker(config.metadata_fields),
    "rewrites": lambda config: RewriteMaker(),
}
"""Makes each maker from the settings."""


def make_questions(
    documents: Sequence[Document],
    config: QueriesConfig | None = None,
    seed: int = 0,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
) -> list[Question]:
    """Makes questions for a collection, by several makers in the mix of their weights.

    Args:
        documents: The collection, cleaned.
        config: Makers, weights, number.
        seed: Everything random is drawn from it; the same seed makes the same questions.
        cache_folder: Where made questions and models' replies are kept, so that a second run reads them and a killed
            one goes on; None: nowhere.
        progress: Told how far the work is.

    Returns:
        Questions, no two with the same words, shuffled by their makers' weights; fewer than asked for where the
        documents give no more.

    Raises:
        InputError: There are no documents, or they give no question at all.
    """
    config = config or QueriesConfig()
    if not documents:
        raise InputError("there are no documents to make questions of")
    total = config.count or min(round(config.per_document * len(documents)), config.at_most) or 1
    weights = {name: float(weight) for name, weight in config.makers.items() if weight > 0}
    makers = [_cached(MAKERS[name](config), config, cache_folder) for name in weights]
    made = {maker.name: maker(documents, total, seed) for maker in makers}
    questions: list[Question] = []
    seen: set[str] = set()
    for question in mix(made, weights):
        form = normal_form(question.text)
        if form in seen:
            continue
        seen.add(form)
        questions.append(question)
        if progress is not None:
            progress("making questions", len(questions), total)
        if len(questions) >= total:
            break
    if not questions:
        raise InputError(f"no question could be made of {len(documents)} documents by {', '.join(weights)}")
    return questions


def _cached(maker: QueryMaker, config: QueriesConfig, folder: Path | None) -> QueryMaker:
    if folder is None:
        return maker
    settings = [config.metadata_fields, config.temperature, config.batch_size]
    settings += [config.seq2seq_model, config.chat_model, config.back_translation]
    return CachedMaker(maker, folder, repr(settings))


def mix(streams: Mapping[str, Iterator[Question]], weights: Mapping[str, float]) -> Iterator[Question]:
    """Takes from streams in proportion to their weights, spread as evenly as can be.

    At each step the stream gives whose share is owed most (smooth weighted round robin); one that has ended leaves its
    share to the others.

    Args:
        streams: Questions by name.
        weights: Weight by name, above 0.

    Yields:
        Questions until all streams have ended.
    """
    owed = dict.fromkeys(streams, 0.0)
    while owed:
        total = sum(weights[name] for name in owed)
        for name in owed:
            owed[name] += weights[name] / total
        chosen = max(owed, key=lambda name: owed[name])
        question = next(streams[chosen], None)
        if question is None:
            del owed[chosen]
            continue
        owed[chosen] -= 1
        yield question
