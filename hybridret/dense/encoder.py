"""Text encoders: a sentence-transformers model, or any LangChain Embeddings."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridret.errors import InferenceError, InputError, ModelError
from hybridret.models import DEFAULT_MODEL, fast_dtype, load_model
from hybridret.prompts import Prompts, choose_prompts, origins_of, pooling_of
from hybridret.types import Encoder, FloatArray, IntArray, Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 32
_SLAB = 1024


_QUERY, _DOCUMENT = "query", "document"


class TransformerEncoder:
    """A sentence-transformers bi-encoder with prompts, run in the precision that is fastest on its device.

    Queries and documents go through one model, or each through its own where the model is a router of
    sentence-transformers; see ``with_query_model``.

    Args:
        model: The model in full precision; it is kept as it is, and encoding uses a copy where precision differs.
        name: What the bundle's manifest calls it.
        prompts: Texts before queries and documents.
    """

    def __init__(self, model: SentenceTransformer, name: str, prompts: Prompts) -> None:
        self.name, self.prompts = name, prompts
        self._original = model

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model that encodes, in the fastest precision."""
        dtype = fast_dtype(self._original.device)
        if self._original.dtype == dtype:
            return self._original
        return copy.deepcopy(self._original).to(dtype).eval()

    @cached_property
    def _counting_tokenizer(self) -> Any:
        """A tokenizer for counting alone, which switches truncation off; None where the model has none that counts."""
        tokenizer = self._original.tokenizer
        return copy.deepcopy(tokenizer) if callable(tokenizer) else None

    @property
    def max_tokens(self) -> int | None:
        """The model's window in tokens, prompts and special tokens included."""
        window = self._original.max_seq_length
        return int(window) if window is not None and math.isfinite(window) else None

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encodes queries in one pass. *Shape:* (n_queries, dimension), float32, unit length."""
        return self._encode(list(texts), self.prompts.query, _QUERY)

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """Encodes documents, the longest first. *Shape:* (n_documents, dimension), float32, unit length."""
        order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
        slabs = []
        for start in range(0, len(order), _SLAB):
            slabs.append(
                self._encode(
                    [texts[position] for position in order[start : start + _SLAB]], self.prompts.document, _DOCUMENT
                )
            )
            if progress is not None:
                progress("encoding", min(start + _SLAB, len(order)), len(order))
        vectors = np.concatenate(slabs)
        result = np.empty_like(vectors)
        result[order] = vectors
        return result

    def count_cut_tokens(self, texts: Sequence[str]) -> IntArray:
        """Counts the tokens that the window cuts off each text. *Shape:* (n_texts,), int64."""
        window, cut = self.max_tokens, np.zeros(len(texts), dtype=np.int64)
        if window is None or self._counting_tokenizer is None:
            return cut
        for start in range(0, len(texts), _SLAB):
            prompted = [self.prompts.document + text for text in texts[start : start + _SLAB]]
            tokens = self._counting_tokenizer(prompted, truncation=False, verbose=False)["input_ids"]
            cut[start : start + _SLAB] = [max(0, len(ids) - window) for ids in tokens]
        return cut

    def save(self, folder: Path) -> None:
        """Writes the model in full precision, with its prompts, as ``SentenceTransformer(folder)`` loads it."""
        prompts = dict(self._original.prompts)
        self._original.prompts = {**prompts, "query": self.prompts.query, "document": self.prompts.document}
        try:
            self._original.save(str(folder), create_model_card=False, safe_serialization=True)
        finally:
            self._original.prompts = prompts

    def with_query_model(self, model: SentenceTransformer) -> TransformerEncoder:
        """This encoder with another model for queries, of the same dimension.

        ``SentenceTransformer(FOLDER).encode_query`` and ``encode_document`` do the same where it is saved.
        """
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Router

        router = Router.for_query_document(list(model), self._modules(_DOCUMENT), default_route=_DOCUMENT)  # type: ignore[arg-type]
        prompts: Any = dict(self._original.prompts)
        both = SentenceTransformer(modules=[router], device=str(self._original.device), prompts=prompts)
        return TransformerEncoder(both, self.name, self.prompts)

    def query_model(self) -> SentenceTransformer:
        """A copy of the model that encodes queries, in full precision, to be trained."""
        from sentence_transformers import SentenceTransformer

        prompts: Any = dict(self._original.prompts)
        modules = copy.deepcopy(self._modules(_QUERY))
        return SentenceTransformer(modules=modules, device=str(self._original.device), prompts=prompts)

    def _modules(self, route: str) -> list[Any]:
        from sentence_transformers.base.modules import Router

        first: Any = self._original[0]
        if isinstance(first, Router):
            modules: Any = first.sub_modules[route]
            return list(modules)
        return list(self._original)

    def _encode(self, texts: list[str], prompt: str, task: str) -> FloatArray:
        try:
            vectors = self.model.encode(texts, prompt=prompt, task=task, batch_size=_BATCH, show_progress_bar=False)
        except Exception as error:
            raise InferenceError(f"the model {self.name} cannot encode: {error}") from error
        return unit_length(np.asarray(vectors, dtype=np.float32))


class EmbeddingsEncoder:
    """Any LangChain ``Embeddings``. It stays the caller's: a bundle names it but cannot hold it.

    Args:
        embeddings: The object that embeds.
    """

    def __init__(self, embeddings: Any) -> None:
        self._embeddings = embeddings
        self.name = f"langchain:{type(embeddings).__name__}"
        self.max_tokens: int | None = None

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encodes queries. *Shape:* (n_queries, dimension), float32, unit length."""
        return unit_length(np.array([self._embeddings.embed_query(text) for text in texts], dtype=np.float32))

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """Encodes documents. *Shape:* (n_documents, dimension), float32, unit length."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _SLAB):
            vectors += self._embeddings.embed_documents(list(texts[start : start + _SLAB]))
            if progress is not None:
                progress("encoding", len(vectors), len(texts))
        return unit_length(np.array(vectors, dtype=np.float32))

    def count_cut_tokens(self, texts: Sequence[str]) -> IntArray:
        """Zeros: the window of a foreign model is not known."""
        return np.zeros(len(texts), dtype=np.int64)

    def save(self, folder: Path) -> None:
        """Saves nothing: loading the bundle takes the same embeddings again."""


def make_encoder(
    model: Any = None,
    *,
    task: str | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
) -> Encoder:
    """Makes an encoder of whatever the user calls an embedding model.

    Args:
        model: A folder, a hub id, a ``SentenceTransformer`` or a LangChain ``Embeddings``; None: the default model.
        task: A task of ``hybridret.models.TASK_PROMPTS``, for models with prompts.
        query_prompt: Text before queries, instead of the model's or the task's.
        document_prompt: Text before documents.

    Returns:
        The encoder.

    Raises:
        ModelError: The model cannot be loaded.
        InputError: The task is unknown or the object is no embedding model.
    """
    if model is None or isinstance(model, str | Path):
        name = DEFAULT_MODEL if model is None else str(model)
        model = load_model(name)
    elif hasattr(model, "encode_query"):
        name = next(iter(origins_of(model)), "SentenceTransformer")
    elif hasattr(model, "embed_query") and hasattr(model, "embed_documents"):
        if task is not None or query_prompt is not None or document_prompt is not None:
            raise InputError("prompts cannot be given for LangChain Embeddings: they have their own")
        return EmbeddingsEncoder(model)
    else:
        raise ModelError(f"a {type(model).__name__} is no embedding model; give a folder, a hub id or an object")
    prompts = choose_prompts(
        name, model.prompts, task, query_prompt, document_prompt, origins_of(model), pooling_of(model)
    )
    return TransformerEncoder(model, name, prompts)


def unit_length(vectors: FloatArray) -> FloatArray:
    """Vectors divided by their length; zeros stay. *Shape:* (n, dimension), float32.

    Raises:
        InferenceError: A number is not finite.
    """
    if not np.isfinite(vectors).all():
        raise InferenceError("the embedding model returned a value that is not a finite number")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0), dtype=np.float32)
