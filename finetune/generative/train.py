"""Training docids: from questions, sentences and fixed document vectors to a query encoder and code tables."""

from __future__ import annotations

import copy
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from finetune.errors import TrainingError
from finetune.generative.asking import difficulties, memorised, own_mistakes
from finetune.generative.config import DocidConfig
from finetune.generative.curriculum import picks_of
from finetune.generative.memorisation import Memorisation
from finetune.generative.rows import Row, planned, question_rows, sentence_rows
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document, FloatArray, IntArray, Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import TrainingArguments

    from finetune.generative.model import DocidModel
    from finetune.generative.trainer import DocidTrainer, Mistakes
    from hybridret.docids import ResidualQuantizer
    from hybridret.generative import CodeDecoder

_TIMED, SLACK, _CHECKPOINTS = 5, 1.15, 5
_JOINT, _MEMORISATION = "joint.safetensors", "memorisation.npz"
_TABLE_RATE, _LEAST_TABLE_RATE, _WELL_ASKED = 3e-4, 1e-5, 20


class TrainedDocids(NamedTuple):
    """What docid training left, beside the query encoder that it changed in place.

    Attributes:
        decoder: The trained code tables.
        facts: Steps, seconds, losses, mistakes found, ``memorised``: the share of sentences whose document's docid is
            the likeliest of all, before and after, and ``curve``: step and running rates by questions and sentences.
    """

    decoder: CodeDecoder
    facts: dict[str, Any]


def train_docids(
    encoder: SentenceTransformer,
    quantizer: ResidualQuantizer,
    documents: Sequence[Document],
    vectors: FloatArray,
    questions: Sequence[Question],
    config: DocidConfig,
    folder: Path,
    prompt: str = "",
    seconds: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainedDocids:
    """Trains in place, going on from the last checkpoint in the folder where there is one.

    Args:
        encoder: The encoder of queries; changed in place.
        quantizer: The codebooks, which stay as they are.
        documents: The corpus.
        vectors: *Shape:* (n_documents, dimension), float32, the documents' vectors, which stay as they are.
        questions: What to train on.
        config: Settings.
        folder: Where checkpoints and the plan go.
        prompt: Text before queries.
        seconds: Time for training, unless the configuration fixes the steps.
        seed: Seed of everything random.
        progress: Told how far the work is.

    Raises:
        InputError: There is no question whose document is in the corpus, or a vector does not fit the codebooks.
        TrainingError: The loss is not finite, or there is no time for a step.
    """
    from safetensors.torch import load_model, save_model
    from transformers import set_seed

    from finetune.generative.model import DocidModel
    from hybridret.generative import CodeDecoder

    if vectors.shape != (len(documents), quantizer.codebooks.shape[2]):
        raise InputError(f"the vectors {vectors.shape} are not those that the codebooks were fitted to")
    folder.mkdir(parents=True, exist_ok=True)
    set_seed(seed)
    asked, told = question_rows(questions, documents), sentence_rows(documents)
    rows = [*asked, *told]
    if not asked:
        raise InputError("docid training has no question whose document is in the corpus")
    config = replace(config, table_learning_rate=config.table_learning_rate or table_rate(len(asked), len(documents)))
    model = DocidModel(encoder, CodeDecoder(quantizer.codebooks), quantizer.encode(vectors)).to(encoder.device)
    before = memorised(model, told, prompt, seed)
    make = Trainers(model, config, rows, vectors, prompt, seed, progress)
    hard = difficulties(model, asked, prompt) if config.order == "easy" else None
    picks = picks_of(config, asked, told, len(documents), hard)

    def plan_of(steps: int) -> IntArray:
        return planned(len(asked), len(told), steps, config, seed, picks)

    steps = planned_steps(make, plan_of, folder, seconds)
    last = round(config.preference * steps)
    start, joint = time.monotonic(), folder / _JOINT
    losses: list[float] = []
    memorisation = Memorisation(rows, len(asked), len(documents))
    if joint.is_file():
        load_model(model, str(joint), device=str(encoder.device))
        memorisation.load(folder / _MEMORISATION)
    else:
        plan, limit = plan_of(steps - last), seconds * SLACK
        losses += make.run(plan, folder / "joint", "docid training", limit, memorisation=memorisation)
        memorisation.save(folder / _MEMORISATION)
        save_model(model, str(joint))
    facts: dict[str, Any] = {"steps": steps - last, "questions": len(asked), "sentences": len(told)}
    if last:
        mistakes = own_mistakes(model, asked, prompt, config, seed)
        facts["mistakes"] = len(mistakes.row)
        if len(mistakes.row):
            rate = config.preference_rate
            make.config = replace(
                config,
                learning_rate=rate * config.learning_rate,
                table_learning_rate=rate * (config.table_learning_rate or 0.0),
            )
            generator = np.random.default_rng(seed)
            pairs = generator.integers(len(mistakes.row), size=(last, config.batch_size))
            losses += make.run(pairs, folder / "preference", "docid preferences", seconds * SLACK, mistakes)
    encoder.eval()
    facts |= {"losses": losses[:: max(1, len(losses) // 50)], "seconds": time.monotonic() - start}
    facts["curve"] = memorisation.curve
    facts["memorised"] = {"before": before, "after": memorised(model, told, prompt, seed)}
    return TrainedDocids(model.decoder(), facts)


def table_rate(n_questions: int, n_documents: int) -> float:
    """The learning rate of the code tables where none is given, see ``DocidConfig.table_learning_rate``."""
    return max(_LEAST_TABLE_RATE, _TABLE_RATE * min(1.0, n_questions / (_WELL_ASKED * n_documents)))


class Trainers:
    """Makes and runs trainers of one model; see ``train_docids`` for the arguments."""

    def __init__(
        self,
        model: DocidModel,
        config: DocidConfig,
        rows: Sequence[Row],
        vectors: FloatArray,
        prompt: str,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.model, self.config, self.rows, self.vectors = model, config, rows, vectors
        self.prompt, self.seed, self.progress = prompt, seed, progress

    def make(
        self, model: DocidModel, plan: IntArray, folder: Path, save: bool, mistakes: Mistakes | None = None
    ) -> DocidTrainer:
        """A trainer that takes the steps of a plan."""
        from finetune.generative.trainer import DocidTrainer

        args = self.arguments(plan, folder, save)
        return DocidTrainer(model, args, self.config, self.rows, plan, self.vectors, self.prompt, mistakes)

    def arguments(self, plan: IntArray, folder: Path, save: bool) -> TrainingArguments:
        """How the steps of a plan are trained."""
        import torch
        from transformers import TrainingArguments

        from hybridret.models import fast_dtype

        config, device = self.config, self.model.encoder.device
        wants_bf16 = config.precision == "auto" and fast_dtype(device) == torch.bfloat16
        return TrainingArguments(
            output_dir=str(folder),
            max_steps=len(plan),
            per_device_train_batch_size=plan.shape[1],
            learning_rate=config.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=round(config.warmup * len(plan)),
            bf16=config.precision == "bf16" or wants_bf16,
            use_cpu=device.type == "cpu",
            seed=self.seed,
            logging_steps=max(1, len(plan) // 50),
            logging_nan_inf_filter=False,
            save_strategy="steps" if save else "no",
            save_steps=max(1, -(-len(plan) // _CHECKPOINTS)),
            save_total_limit=2,
            report_to=config.report_to.split(",") if save else "none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
        )

    def run(
        self,
        plan: IntArray,
        folder: Path,
        label: str,
        seconds: float,
        mistakes: Mistakes | None = None,
        memorisation: Memorisation | None = None,
    ) -> list[float]:
        """Trains, from the last checkpoint on where there is one, and gives the losses that were logged."""
        from finetune.dense.callbacks import CheckpointMark, Deadline, ShowProgress, last_checkpoint, seconds_spent

        checkpoint = last_checkpoint(folder)
        limit = float("inf") if self.config.max_steps else seconds
        deadline = Deadline(limit, seconds_spent(checkpoint) if checkpoint else 0.0)
        trainer = self.make(self.model, plan, folder, save=True, mistakes=mistakes)
        if memorisation is not None:
            trainer.follow(memorisation)
        progress = [] if self.progress is None else [ShowProgress(self.progress, label)]
        for callback in [deadline, *progress, CheckpointMark(deadline)]:
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        return [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]


def planned_steps(make: Trainers, plan_of: Callable[[int], IntArray], folder: Path, seconds: float) -> int:
    """The steps of the run, measured once and kept, so that a resumed run has the same schedule.

    Args:
        make: Makes trainers.
        plan_of: Gives the plan of so many steps.
        folder: Where the number is kept.
        seconds: Time for training, unless the configuration fixes the steps.

    Raises:
        TrainingError: There is no time for a step.
    """
    config = make.config
    plan = folder / "plan.json"
    if plan.is_file():
        kept: int = json.loads(plan.read_text(encoding="utf-8"))["steps"]
        return kept
    facts: dict[str, Any] = {"steps": config.max_steps}
    if not config.max_steps:
        with tempfile.TemporaryDirectory(prefix="hybridret-") as place:
            trainer = make.make(copy.deepcopy(make.model), plan_of(_TIMED), Path(place), save=False)
            start = time.perf_counter()
            trainer.train()
            each = (time.perf_counter() - start) / _TIMED
        facts = {"steps": int(max(0.0, seconds) / each), "seconds_per_step": each, "seconds": seconds}
        if facts["steps"] < 1:
            raise TrainingError(
                f"there is no time to train docids: one step takes {each:.1f} s and {max(0.0, seconds):.0f} s are "
                "left; give more --minutes, or set docid.share to 0"
            )
    plan.write_text(json.dumps(facts), encoding="utf-8")
    return int(facts["steps"])
