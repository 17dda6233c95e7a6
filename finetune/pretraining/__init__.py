"""Training on the bare corpus before contrastive training."""

from finetune.pretraining.config import PretrainConfig
from finetune.pretraining.pretrain import pretrain

__all__ = ["PretrainConfig", "pretrain"]
