"""ANCE: negatives mined anew, with the weights of the moment, while training runs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune.negatives.config import NegativesConfig
from finetune.negatives.mine import Mined, mine_negatives, telemetry
from finetune.negatives.pool import Pool
from hybridret.models import fast_dtype
from hybridret.prompts import Prompts
from hybridret.types import Document, FloatArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from finetune.dense.table import TrainingTable


class Twin:
    """A copy of a model that takes over its weights and encodes in the fastest precision.

    The trained model itself stays as the trainer wrapped it, and its random state is not touched.

    Args:
        model: The model, before a trainer wraps it.
        prompts: Texts before queries and documents.
        precision: ``fp32``, or anything else for the fastest one.
    """

    def __init__(self, model: SentenceTransformer, prompts: Prompts, precision: str) -> None:
        dtype = torch.float32 if precision == "fp32" else fast_dtype(model.device)
        self._twin = copy.deepcopy(model).to(dtype).eval()
        self._prompts = prompts

    def follow(self, model: SentenceTransformer) -> None:
        """Takes over the weights of a model of the same shape."""
        self._twin.load_state_dict(model.state_dict())

    def encode(self, documents: Sequence[Document], queries: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Encodes documents and queries. *Shapes:* (n_documents, dimension), (n_queries, dimension), float32."""
        vectors = []
        ordered = [[document.text for document in documents], list(queries)]
        for texts, prompt in zip(ordered, (self._prompts.document, self._prompts.query), strict=True):
            made = self._twin.encode(texts, prompt=prompt or None, normalize_embeddings=True, show_progress_bar=False)
            vectors.append(np.asarray(made, dtype=np.float32))
        return vectors[0], vectors[1]


class AnceRefresh(TrainerCallback):
    """Every so many steps encodes the corpus with the current weights and mines all negatives anew.

    Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval", 2021, section
    4.1; here the trainer waits for the new negatives, so that none comes from old weights. The first process mines,
    the others take over what it found.

    Args:
        table: Its negatives are replaced.
        model: The model that is trained, before the trainer wraps it.
        documents: The corpus.
        prompts: Texts before queries and documents.
        config: Sources and filters.
        every: Steps between two minings.
        seed: Seed of draws, joined with the step.
        precision: Of the encoding: ``fp32``, or anything else for the fastest one.
        language: Of the bm25 stemmer.
    """

    def __init__(
        self,
        table: TrainingTable,
        model: SentenceTransformer,
        documents: Sequence[Document],
        prompts: Prompts,
        config: NegativesConfig,
        every: int,
        seed: int,
        precision: str = "auto",
        language: str = "english",
    ) -> None:
        self._table, self._model, self._documents = table, model, documents
        self._language = language
        self._config, self._every, self._seed = config, every, seed
        self._twin = Twin(model, prompts, precision)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Mines after every so many steps, but not after the last."""
        if state.global_step % self._every or state.global_step >= state.max_steps:
            return
        shared: list[Any] = [None]
        if state.is_world_process_zero:
            shared[0] = self._mine(state.global_step)
        if args.world_size > 1:
            torch.distributed.broadcast_object_list(shared, src=0)
        rows, facts = shared[0]
        self._table.set_negatives(rows)
        state.log_history.append({"step": state.global_step, **facts})

    def _mine(self, step: int) -> tuple[list[np.ndarray[tuple[int], np.dtype[np.int64]]], dict[str, float]]:
        self._twin.follow(self._model)
        questions = self._table.questions
        documents, queries = self._twin.encode(self._documents, [question.text for question in questions])
        pool = Pool(self._documents, questions, documents, queries, self._language)
        mined: list[Mined] = mine_negatives(pool, self._config, self._seed + step)
        facts = telemetry(self._table.negatives, mined, pool.positive_similarity)
        return [each.rows for each in mined], {f"ance_{name}": value for name, value in facts.items()}
