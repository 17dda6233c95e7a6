"""Training on the bare corpus before contrastive training."""

from finetune.pretraining.config import PretrainConfig

__all__ = ["PretrainConfig"]
