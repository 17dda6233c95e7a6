"""Making a mix of questions for a collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.cleaning.normal import normal_form
from finetune.queries.cache import CachedMaker
from finetune.queries.config import QueriesConfig
from finetune.queries.mixing import mix
from finetune.queries.registry import MAKERS
from finetune.types import QueryMaker, Question
from hybridret.errors import InputError
from hybridret.types import Document, Progress

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def make_questions(
    documents: Sequence[Document],
    config: QueriesConfig | None = None,
    seed: int = 0,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
    chat: BaseChatModel | None = None,
) -> list[Question]:
    """Makes questions for a collection, by several makers in the mix of their weights.

    Args:
        documents: The collection, cleaned.
        config: Makers, weights, number.
        seed: Everything random is drawn from it; the same seed makes the same questions.
        cache_folder: Where made questions and models' replies are kept, so that a second run reads them and a killed
            one goes on; None: nowhere.
        progress: Told how far the work is.
        chat: A LangChain chat model for the maker ``chat``, instead of the one that the settings name; its replies are
            cached under ``chat_model`` where that is set, else under its class's name.

    Returns:
        Questions, no two with the same words, shuffled by their makers' weights; fewer than asked for where the
        documents give no more.

    Raises:
        InputError: There are no documents, or they give no question at all.
        ModelError: A maker's model cannot be loaded.
        HybridretError: A model or endpoint fails or answers nonsense; what was made so far is in the cache.
    """
    config = config or QueriesConfig()
    if not documents:
        raise InputError("there are no documents to make questions of")
    total = config.count or min(round(config.per_document * len(documents)), config.at_most) or 1
    weights = {name: float(weight) for name, weight in config.makers.items() if weight > 0}
    makers = [_cached(MAKERS[name](config, cache_folder, chat), config, cache_folder) for name in weights]
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
    settings += [config.seq2seq_model, config.chat_model, config.chat_url]
    settings += [config.back_translation]
    return CachedMaker(maker, folder, repr(settings))
