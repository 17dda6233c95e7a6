"""Questions by a chat model: LangChain's, one behind an endpoint, or a local causal language model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from finetune.queries.base import Draft
from finetune.queries.batches import ModelMaker, ReplyError
from finetune.queries.generation import LocalModel
from finetune.queries.prompts import SYSTEM, chat_request, read_reply
from finetune.queries.replies import Replies
from finetune.teachers.endpoint import Endpoint, EndpointError
from hybridret.errors import HybridretError
from hybridret.models import load_language_model
from hybridret.types import Document

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Chat = Callable[[list[str], int], list[str]]
"""Answers user messages, each under the system message, one reply a message; the seed is for those that sample."""

_PARALLEL = 4
_NEW_TOKENS, _INPUT_TOKENS = 400, 1600


class ChatMaker(ModelMaker):
    """Asks for questions with answers: about the whole document, about one sentence, hard ones, constrained ones.

    Args:
        chat: Answers messages.
        model: What replies are cached under.
        fields: Metadata to weave into constraints, as for ``MetadataMaker``.
        replies: Where replies are kept.
        batch_size: Documents asked about at once.
    """

    name = "chat"

    def __init__(
        self,
        chat: Chat,
        model: str,
        fields: Sequence[str] = (),
        replies: Replies | None = None,
        batch_size: int = 8,
    ) -> None:
        super().__init__(replies, batch_size)
        self._chat, self._model, self._fields = chat, model, tuple(fields)

    @property
    def model_name(self) -> str:
        """The chat model."""
        return self._model

    def prompt(self, document: Document, turn: int, source: random.Random) -> str:
        """What to ask about a document."""
        return chat_request(document, turn, source, self._fields) if document.text.strip() else ""

    def ask(self, prompts: list[str], seed: int) -> list[str]:
        """Asks the model."""
        return self._chat(prompts, seed)

    def read(self, reply: str) -> Sequence[Draft]:
        """The questions in a reply."""
        return read_reply(reply)


def langchain_chat(model: BaseChatModel) -> Chat:
    """Any LangChain chat model.

    Raises (when called):
        ReplyError: The model fails; the message says how.
    """

    def chat(messages: list[str], seed: int) -> list[str]:
        conversations: list[Any] = [[("system", SYSTEM), ("human", message)] for message in messages]
        try:
            answers = model.batch(conversations, config={"max_concurrency": _PARALLEL})
        except HybridretError:
            raise
        except Exception as error:
            raise ReplyError(
                f"the chat model {type(model).__name__} failed: {type(error).__name__}: {error}"
            ) from error
        return [str(answer.text) for answer in answers]

    return chat


def endpoint_chat(endpoint: Endpoint, model: str, temperature: float) -> Chat:
    """A model behind an OpenAI-compatible endpoint.

    Raises (when called):
        EndpointError: The endpoint fails or its reply has no message.
    """

    def chat(messages: list[str], seed: int) -> list[str]:
        def one(message: str) -> str:
            conversation = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": message}]
            body = {"model": model, "messages": conversation, "temperature": temperature, "seed": seed % 2**31}
            reply = endpoint.post("chat/completions", body)
            try:
                return str(reply["choices"][0]["message"]["content"] or "")
            except (KeyError, IndexError, TypeError) as error:
                raise EndpointError(
                    f"{endpoint.url} gave no message (choices[0].message.content): {str(reply)[:200]}"
                ) from error

        with ThreadPoolExecutor(_PARALLEL) as threads:
            return list(threads.map(one, messages))

    return chat


def local_chat(model: LocalModel) -> Chat:
    """A local causal language model, with its chat template where it has one."""

    def chat(messages: list[str], seed: int) -> list[str]:
        return model([model.chat_prompt(SYSTEM, message) for message in messages], seed)

    return chat


def load_local_chat(name: str, temperature: float) -> Chat:
    """Loads a local causal language model.

    Raises:
        ModelError: It cannot be loaded.
    """
    model, tokenizer = load_language_model(name, "AutoModelForCausalLM")
    return local_chat(LocalModel(model, tokenizer, name, temperature, _NEW_TOKENS, _INPUT_TOKENS))
