"""Settings of docid training."""

from __future__ import annotations

from dataclasses import dataclass

from hybridret.errors import InputError


@dataclass(frozen=True)
class DocidConfig:
    """How the docid retriever is trained, once dense is: its code tables, and the encoder of queries.

    Attributes:
        share: Share of the training time that it gets, the rest being dense's; null: half where most questions are
            labelled, else none; 0: it stays untrained.
        max_steps: Steps to train; 0: as many as fit into the time given.
        levels: Codes of a docid.
        codes: Codes of a level at most.
        batch_size: Texts of a step.
        max_tokens: Tokens after which texts are cut in training.
        sentences: Share of a step's texts that are sentences of documents, whose docids are to be memorised; the others
            are questions.
        interleaved: Whether sentences and questions come in the same steps; else sentences are learned first.
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
        preference_beta: RPO's inverse temperature.
        preference_likelihood: RPO's weight of the right docid's likelihood.
        preference_random: Whether wrong documents are drawn at random instead, for comparison.
        candidates: Documents that a question is compared with in a step at most, the right ones among them.
        precision: bf16, fp32, or auto: bf16 where the processor or GPU has instructions for it.
    """

    share: float | None = None
    max_steps: int = 0
    levels: int = 24
    codes: int = 256
    batch_size: int = 64
    max_tokens: int = 64
    sentences: float = 0.25
    interleaved: bool = True
    learning_rate: float = 1e-4
    table_learning_rate: float | None = None
    warmup: float = 0.05
    weight_decay: float = 0.01
    temperature: float = 0.05
    contrastive_weight: float = 1.0
    code_weight: float = 0.1
    preference: float = 0.0
    preference_beta: float = 0.1
    preference_likelihood: float = 1.0
    preference_random: bool = False
    candidates: int = 8192
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("levels", "codes", "max_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"docid.{name} must be a whole number from 1 up, not {getattr(self, name)!r}")
        for name in ("batch_size", "candidates"):
            if getattr(self, name) < 2:
                raise InputError(f"docid.{name} must be a whole number from 2 up, not {getattr(self, name)!r}")
        for name in ("learning_rate", "table_learning_rate", "temperature", "preference_beta"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise InputError(f"docid.{name} must be a number above 0, not {getattr(self, name)!r}")
        for name in ("share", "sentences", "preference"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise InputError(f"docid.{name} must be a share from 0 up and below 1, not {value!r}")
        if self.max_steps < 0:
            raise InputError(f"docid.max_steps must be a whole number from 0 up, not {self.max_steps!r}")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise InputError(f"docid.precision must be one of auto, bf16, fp32, not {self.precision!r}")
