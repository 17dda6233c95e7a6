"""Hard negatives: where they come from, which are kept, and mining anew while training runs."""

from finetune.negatives.config import NegativesConfig
from finetune.negatives.mine import Mined, mine_negatives
from finetune.negatives.pool import Pool

__all__ = ["Mined", "NegativesConfig", "Pool", "mine_negatives"]
