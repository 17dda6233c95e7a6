"""How each maker of questions is made from the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.queries.code import CodeMaker
from finetune.queries.config import QueriesConfig
from finetune.queries.extractive import SentenceMaker, SpanMaker, SummaryMaker, TitleMaker
from finetune.queries.keyphrase_makers import ClozeMaker, KeyphraseMaker
from finetune.queries.metadata import MetadataMaker
from finetune.queries.mixing import mix
from finetune.queries.question_makers import RuleMaker, TopicMaker
from finetune.queries.replies import Replies
from finetune.queries.rewrites import RewriteMaker
from finetune.types import QueryMaker, Question
from hybridret.errors import InputError
from hybridret.types import Document, Progress

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def _seq2seq(config: QueriesConfig, folder: Path | None, chat: BaseChatModel | None) -> QueryMaker:
    from finetune.queries.generation import load_seq2seq
    from finetune.queries.seq2seq import Seq2SeqMaker

    model = load_seq2seq(config.seq2seq_model, config.temperature)
    return Seq2SeqMaker(model, replies=_replies(folder, "seq2seq"), batch_size=config.batch_size)


def _chat(config: QueriesConfig, folder: Path | None, chat: BaseChatModel | None) -> QueryMaker:
    from finetune.queries.chat import ChatMaker, endpoint_chat, langchain_chat, load_local_chat
    from finetune.teachers.endpoint import Endpoint

    name = f"{config.chat_url}:{config.chat_model}:temperature={config.temperature}"
    if chat is not None:
        answers, name = langchain_chat(chat), config.chat_model or type(chat).__name__
    elif not config.chat_model:
        raise InputError("the maker chat wants a model: set queries.chat_model, or give a LangChain chat model")
    elif config.chat_url:
        answers = endpoint_chat(Endpoint(config.chat_url), config.chat_model, config.temperature)
    else:
        answers = load_local_chat(config.chat_model, config.temperature)
    return ChatMaker(answers, name, config.metadata_fields, _replies(folder, "chat"), config.batch_size)


def _back_translation(config: QueriesConfig, folder: Path | None, chat: BaseChatModel | None) -> QueryMaker:
    from finetune.queries.back_translation import BackTranslationMaker
    from finetune.queries.generation import load_seq2seq

    there, back = (load_seq2seq(name, 0.0) for name in config.back_translation)
    replies = _replies(folder, "back_translation")
    return BackTranslationMaker(RewordableMaker(), there, back, replies, config.batch_size)


class RewordableMaker:
    """Titles, sentences and questions in turns: whole sentences, which translation can reword."""

    name = "rewordable"

    def __call__(
        self, documents: Sequence[Document], n: int, seed: int, progress: Progress | None = None
    ) -> Iterator[Question]:
        """Makes up to ``n`` questions."""
        makers: list[QueryMaker] = [TitleMaker(), SentenceMaker(), RuleMaker()]
        streams = {maker.name: maker(documents, n, seed) for maker in makers}
        return islice(mix(streams, dict.fromkeys(streams, 1.0)), n)


def _replies(folder: Path | None, name: str) -> Replies:
    return Replies(None if folder is None else folder / f"replies-{name}.jsonl")


Make = Callable[[QueriesConfig, "Path | None", "BaseChatModel | None"], QueryMaker]
"""Makes a maker from the settings, the folder for replies and a chat model."""

MAKERS: dict[str, Make] = {
    "titles": lambda config, folder, chat: TitleMaker(),
    "sentences": lambda config, folder, chat: SentenceMaker(),
    "summaries": lambda config, folder, chat: SummaryMaker(),
    "spans": lambda config, folder, chat: SpanMaker(),
    "keyphrases": lambda config, folder, chat: KeyphraseMaker(),
    "cloze": lambda config, folder, chat: ClozeMaker(),
    "questions": lambda config, folder, chat: RuleMaker(),
    "topics": lambda config, folder, chat: TopicMaker(),
    "code": lambda config, folder, chat: CodeMaker(),
    "templates": lambda config, folder, chat: MetadataMaker(config.metadata_fields),
    "rewrites": lambda config, folder, chat: RewriteMaker(),
    "seq2seq": _seq2seq,
    "chat": _chat,
    "back_translation": _back_translation,
}
"""How to make each maker."""
