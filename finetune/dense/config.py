"""Settings of contrastive training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybridret.errors import InputError

SCHEDULES = ("cosine", "linear")
SMALL_BATCH, LARGE_BATCH = 32, 128
DISTILLATIONS = ("kl", "stabilised", "margin_mse")


@dataclass(frozen=True)
class DenseConfig:
    """How the bi-encoder is trained.

    Attributes:
        max_steps: Steps to train; 0: as many as fit into the time given.
        max_passes: Passes over the questions after which training ends, even if there is time left.
        batch_size: Questions of a step, over all processes; null: 32, with labels up to 128 where that leaves enough
            steps.
        max_tokens: Tokens after which texts are cut in training alone; 0: the model's window.
        micro_batch: Texts embedded at once; larger batches go through GradCache.
        negatives: Hard negatives of a question in each step, drawn from the mined ones.
        learning_rate: Peak of the learning rate; null: 1e-4 where most questions are labelled, else 5e-5.
        schedule: How it falls after the warm-up: cosine or linear.
        warmup: Share of the steps in which it rises.
        weight_decay: AdamW's weight decay.
        temperature: Divides cosines in the losses.
        contrastive_weight: Weight of InfoNCE.
        distillation: How soft labels are learned: kl, stabilised or margin_mse; used where the labels stage made some.
        distillation_weight: Weight of the distillation loss.
        teacher_temperature: Divides the teacher's scores.
        false_negative_margin: A document whose cosine exceeds the positive's by more than this is no negative; null:
            it is one.
        matryoshka: Lengths at which the first numbers of a vector are trained to work alone; none by default.
        lora_rank: Rank of LoRA adapters, merged into the weights at the end; 0 trains all weights.
        lora_alpha: LoRA's scale.
        long_tail: How much more often questions of rarely asked documents are drawn: 0 not at all, 1 until all
            documents are asked alike.
        ance_every: Steps after which negatives are mined anew with the weights of that moment; 0: never.
        precision: bf16, fp32, or auto: bf16 where the processor or GPU has instructions for it.
        checkpoint_every: Steps between checkpoints; 0: ten a run.
        prompts: By task the texts before queries and documents, as {task: [query, document]}; other tasks take the
            model's own.
        report_to: Where the trainer reports to, as it names them: tensorboard, wandb, none.
        deepspeed: A DeepSpeed configuration file, handed on as it is.
    """

    max_steps: int = 0
    max_passes: float = 10.0
    batch_size: int | None = None
    max_tokens: int = 128
    micro_batch: int = 128
    negatives: int = 0
    learning_rate: float | None = None
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.01
    temperature: float = 0.05
    contrastive_weight: float = 1.0
    distillation: str | None = None
    distillation_weight: float = 1.0
    teacher_temperature: float = 1.0
    false_negative_margin: float | None = 0.1
    matryoshka: tuple[int, ...] = ()
    lora_rank: int = 0
    lora_alpha: float = 32.0
    long_tail: float = 0.0
    ance_every: int = 0
    precision: str = "auto"
    checkpoint_every: int = 0
    prompts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    report_to: str = "none"
    deepspeed: str | None = None

    @property
    def questions_a_step(self) -> int:
        """The batch size, where nothing is known of time and questions."""
        return self.batch_size or SMALL_BATCH

    def __post_init__(self) -> None:
        at_least = {
            "max_steps": 0,
            "batch_size": 2,
            "max_tokens": 0,
            "micro_batch": 1,
            "negatives": 0,
            "lora_rank": 0,
            "ance_every": 0,
        }
        for name, lowest in at_least.items():
            if getattr(self, name) is not None and getattr(self, name) < lowest:
                raise InputError(f"dense.{name} must be a whole number from {lowest} up, not {getattr(self, name)!r}")
        for name in ("learning_rate", "temperature", "teacher_temperature", "max_passes"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise InputError(f"dense.{name} must be a number above 0, not {getattr(self, name)!r}")
        for name, known in (("schedule", SCHEDULES), ("precision", ("auto", "bf16", "fp32"))):
            if getattr(self, name) not in known:
                raise InputError(f"dense.{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        if self.distillation is not None and self.distillation not in DISTILLATIONS:
            raise InputError(f"dense.distillation must be one of {', '.join(DISTILLATIONS)}, not {self.distillation!r}")
