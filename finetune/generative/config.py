"""Settings of docid training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hybridret.docids import SchemeName
from hybridret.errors import InputError

ORDERS = ("shuffled", "important", "easy")
TOLD = ("titles", "sentences", "chunks", "summaries")


@dataclass(frozen=True)
class DocidConfig:
    """How the docid retriever is trained, once dense is: its code tables, and the encoder of queries; or a backbone.

    Attributes:
        share: Share of the training time that it gets, the rest being dense's; 0: it stays untrained.
        max_steps: Steps to train; 0: as many as fit into the time given.
        backbone: Folder or hub id of a language model that learns to write docids, such as google-t5/t5-small, BART or
            any decoder-only model; empty: the built-in code decoder, which scores codes by the query's vector.
        scheme: What a backbone's docids are: rq, hierarchical, atomic, keyword or path; the code decoder's are rq.
        path_fields: Metadata fields whose values make docids of the scheme path.
        lora_rank: Rank of the low-rank adapters by which a backbone learns, merged into what is shipped; 0: all of its
            weights learn.
        backbone_rate: Peak of a backbone's learning rate.
        levels: Codes of a docid at most; null: 24, and for a backbone 8 (rq) or as many as it takes (hierarchical).
        codes: Codes of a level at most; null: 256, for hierarchical 10.
        batch_size: Texts of a step.
        max_tokens: Tokens after which texts are cut in training.
        told: What documents are told by: titles, sentences, chunks (sentences that follow each other, up to 400
            letters), summaries (the two sentences of their most frequent words).
        sentences: Share of a step's texts that tell of documents, whose docids are to be memorised; the others are
            questions.
        interleaved: Whether sentences and questions come in the same steps; else sentences are learned first.
        order: In which order texts come: ``shuffled``; ``important``: first sentences of documents that many questions
            ask for; ``easy``: first questions that the model answers best. Each third of the steps has a third more.
        long_tail: Exponent by which questions of documents that many ask for come less often: each of n questions of
            a document counts ``n ** -long_tail``; 0: all alike, 1: all documents alike.
        dynamic: Alpha of dynamic sampling: each tenth of the steps, those to come are drawn anew by
            ``exp(-alpha * rate)`` of their document's running memorisation rate; 0: they stay as planned.
        stop_at: Running memorisation rate, the mean over documents, that questions and sentences must both reach for
            training to end early; null: it does not.
        learning_rate: Peak of the query encoder's learning rate.
        table_learning_rate: Peak of the learning rate of the code tables and scales; null: 3e-4 where there are twenty
            questions a document, proportionally less where there are fewer, at least 1e-5: documents that nobody asked
            for share their codes with others.
        warmup: Share of the steps in which they rise; they fall by a cosine then.
        weight_decay: AdamW's weight decay.
        temperature: Divides the cosines of queries and document vectors.
        contrastive_weight: Weight of InfoNCE against the documents' fixed vectors, by which dense gains as well.
        code_weight: Weight of the cross-entropy of each level's code, beside the loss of whole docids.
        preference: Share of the steps, the last ones, that learn from the model's own mistakes (RPO).
        preference_rate: Share of the learning rates at which that is done.
        preference_beta: RPO's inverse temperature.
        preference_likelihood: RPO's weight of the right docid's likelihood.
        preference_random: Whether wrong documents are drawn at random instead, for comparison.
        prior_weight: How much of the questions' preference for the documents that they ask about is kept out of what
            is learned: 0: such documents stay likelier, as where the same ones are asked for again and again; 1: the
            others are as likely, as where labels cover a part of the corpus. The code decoder's alone.
        prefix_weight: Weight of the listwise losses of docids' first 1, 2, 4 ... codes, so that a beam search that
            looks at no more codes yet keeps the right ones; the code decoder's alone.
        teacher_weight: Weight of the divergence of docids' probabilities from the soft labels of the stage labels, over
            the documents that a question has labels of.
        teacher_temperature: Divides the soft labels.
        reverse_weight: Weight of the loss of the other direction: a backbone learns to write texts from their docid.
        input_weight: Weight of a decoder-only backbone's loss of the texts themselves, before the docid.
        candidates: Documents that a question is compared with in a step at most, the right ones among them.
        precision: bf16, fp32, or auto: bf16 where the processor or GPU has instructions for it.
        report_to: Where the trainer reports losses and memorisation rates to: tensorboard, wandb, none.
    """

    share: float = 0.5
    max_steps: int = 0
    backbone: str = ""
    scheme: SchemeName = "rq"
    path_fields: tuple[str, ...] = ("title",)
    lora_rank: int = 0
    backbone_rate: float = 5e-4
    levels: int | None = None
    codes: int | None = None
    batch_size: int = 64
    max_tokens: int = 64
    told: tuple[str, ...] = ("titles", "sentences")
    sentences: float = 0.25
    interleaved: bool = True
    order: str = "shuffled"
    long_tail: float = 0.0
    dynamic: float = 0.0
    stop_at: float | None = None
    learning_rate: float = 1e-4
    table_learning_rate: float | None = None
    warmup: float = 0.05
    weight_decay: float = 0.01
    temperature: float = 0.05
    contrastive_weight: float = 1.0
    code_weight: float = 0.1
    preference: float = 0.0
    preference_rate: float = 0.1
    preference_beta: float = 0.1
    preference_likelihood: float = 1.0
    preference_random: bool = False
    prior_weight: float = 0.5
    prefix_weight: float = 0.0
    teacher_weight: float = 0.0
    teacher_temperature: float = 1.0
    reverse_weight: float = 0.0
    input_weight: float = 0.0
    candidates: int = 8192
    precision: str = "auto"
    report_to: str = "none"

    @property
    def rq_sizes(self) -> tuple[int, int]:
        """Levels and codes of residual quantisation."""
        return self.levels or (8 if self.backbone else 24), self.codes or 256

    def __post_init__(self) -> None:
        self._check_numbers()
        of_backbones = ["scheme"] if self.scheme != "rq" else []
        of_backbones += [name for name in ("lora_rank", "reverse_weight", "input_weight") if getattr(self, name)]
        if of_backbones and not self.backbone:
            raise InputError(
                f"docid.{of_backbones[0]} needs a docid.backbone: the code decoder has nothing of the kind"
            )
        if self.backbone and self.prefix_weight:
            raise InputError("docid.prefix_weight is the code decoder's: a backbone learns code after code as it is")
        if self.backbone and self.order == "easy":
            raise InputError("docid.order easy asks what the model answers before it is trained: a backbone nothing")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise InputError(f"docid.precision must be one of auto, bf16, fp32, not {self.precision!r}")
        if self.order not in ORDERS:
            raise InputError(f"docid.order must be one of {', '.join(ORDERS)}, not {self.order!r}")
        if not self.told or set(self.told) - set(TOLD):
            raise InputError(f"docid.told must name some of {', '.join(TOLD)}, not {list(self.told)!r}")
        if (self.order != "shuffled") + bool(self.long_tail) + bool(self.dynamic) > 1:
            raise InputError("docid.order, docid.long_tail and docid.dynamic all decide which texts come: set one")

    def _check_numbers(self) -> None:
        checks: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
            (("levels", "codes", "max_tokens"), lambda value: value >= 1, "a whole number from 1 up"),
            (("batch_size", "candidates"), lambda value: value >= 2, "a whole number from 2 up"),
            (
                (
                    *("learning_rate", "table_learning_rate", "backbone_rate", "temperature"),
                    *("preference_rate", "preference_beta", "teacher_temperature"),
                ),
                lambda value: value > 0,
                "a number above 0",
            ),
            (("share", "sentences", "preference"), lambda value: 0 <= value < 1, "a share from 0 up and below 1"),
            (
                (
                    *("long_tail", "dynamic"),
                    *("prefix_weight", "teacher_weight", "reverse_weight", "input_weight"),
                ),
                lambda value: 0 <= value < float("inf"),
                "a number from 0 up",
            ),
            (("prior_weight",), lambda value: 0 <= value <= 1, "a share from 0 to 1"),
            (("stop_at",), lambda value: 0 < value <= 1, "a rate above 0 and at most 1"),
            (("max_steps", "lora_rank"), lambda value: value >= 0, "a whole number from 0 up"),
        )
        for names, fits, wanted in checks:
            for name in names:
                value = getattr(self, name)
                if value is not None and not fits(value):
                    raise InputError(f"docid.{name} must be {wanted}, not {value!r}")
