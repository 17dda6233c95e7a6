"""Training that goes on: from a bundle's models and texts about new documents to models that know these too."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.continual.config import ContinualConfig
from finetune.continual.rows import Material, replayed
from finetune.generative.altered import Alterations
from finetune.generative.config import DocidConfig
from finetune.generative.running import SLACK, TrainingRuns, steps_of
from finetune.generative.train import TrainedDocids, table_rate
from hybridret.errors import InputError
from hybridret.types import CodeArray, FloatArray, IntArray, Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from hybridret.generative import CodeDecoder

ADAPTER = "adapter"


def go_on(
    encoder: SentenceTransformer,
    decoder: CodeDecoder,
    codes: CodeArray,
    vectors: FloatArray,
    material: Material,
    config: DocidConfig,
    continual: ContinualConfig,
    folder: Path,
    prompt: str = "",
    seconds: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
    alterations: Alterations | None = None,
) -> TrainedDocids:
    """Trains in place, going on from the last checkpoint in the folder where there is one.

    Args:
        encoder: The encoder of queries; changed in place.
        decoder: The code tables to start from.
        codes: *Shape:* (n_documents, n_levels), the documents' codes, which stay as they are.
        vectors: *Shape:* (n_documents, dimension), float32, the documents' vectors, which stay as they are.
        material: What to learn from.
        config: Settings of docid training.
        continual: What holds the model to what it knew.
        folder: Where checkpoints, the plan and adapters go.
        prompt: Text before queries.
        seconds: Time for training, unless the configuration fixes the steps.
        seed: Seed of everything random.
        progress: Told how far the work is.
        alterations: By what documents' vectors change without the words of questions about them.

    Raises:
        InputError: There is no question about a new document, or adapters fit no part of the encoder.
        TrainingError: The loss is not finite, or there is no time for a step.
    """
    from transformers import set_seed

    from finetune.continual.memory import Memory, diagonal_fisher
    from finetune.continual.trainer import ContinualTrainers
    from finetune.generative.model import DocidModel

    if not material.new_questions:
        raise InputError("there is no question about a new document to learn from")
    folder.mkdir(parents=True, exist_ok=True)
    set_seed(seed)
    start, rows = time.monotonic(), material.rows
    n_asked = len(material.new_questions) + len(material.old_questions)
    tables_rate = config.table_learning_rate or table_rate(n_asked, len(vectors))
    rate = continual.learning_rate
    config = replace(config, learning_rate=rate, table_learning_rate=tables_rate, prior_weight=1.0)
    model = DocidModel(encoder, decoder, codes, alterations).to(encoder.device)
    old, fisher = material.old_questions or material.old_sentences, {}
    if continual.ewc and old:
        fisher = diagonal_fisher(model, old, prompt, continual.fisher_questions, config.candidates, seed)
    memory = Memory.of(model, fisher, material.first_old)
    adapters = _with_adapters(encoder, continual.lora_rank, seed) if continual.lora_rank else None
    prepared = time.monotonic() - start
    args = (model, config, rows, vectors, prompt, material.first_old, seed, progress)
    make = ContinualTrainers(*args, memory=memory, continual=continual)
    facts = steps_taken(make, material, continual, folder, seconds - prepared)
    encoder.eval()
    if adapters is not None:
        adapters.save_pretrained(str(folder / ADAPTER))
        adapters.merge_and_unload()
    return TrainedDocids(decoder, model.decoder(), {**facts, "seconds": time.monotonic() - start})


def steps_taken(
    make: TrainingRuns, material: Material, continual: ContinualConfig, folder: Path, seconds: float
) -> dict[str, Any]:
    """Takes the steps for which there is time, old texts between new ones.

    Args:
        make: Makes trainers of the model.
        material: What to learn from.
        continual: The share of old texts.
        folder: Where checkpoints and the plan go.
        seconds: Time for training, unless the configuration fixes the steps.

    Returns:
        Steps, losses, and how many ``texts`` of each kind there were.
    """
    config = make.config

    def plan_of(steps: int) -> IntArray:
        return replayed(material, steps, config.batch_size, continual.replay, config.sentences, make.seed)

    steps = steps_of(make, plan_of, folder, seconds)
    losses = make.run(plan_of(steps), folder / "steps", "docid training", seconds * SLACK)
    texts = {name: len(each) for name, each in zip(Material._fields, material, strict=True)}
    return {"steps": steps, "losses": losses[:: max(1, len(losses) // 50)], "texts": texts}


def _with_adapters(encoder: SentenceTransformer, rank: int, seed: int) -> Any:
    from hybridret.generative.adapters import with_lora

    transformer = getattr(encoder[0], "auto_model", None)
    if transformer is None:
        raise InputError("the query encoder is no transformer: set continual.lora_rank to 0")
    return with_lora(transformer, "FEATURE_EXTRACTION", rank, [], seed)
