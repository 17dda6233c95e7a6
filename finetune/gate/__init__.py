"""The gate: no model is shipped that is worse than the one before."""

from finetune.gate.config import GateConfig
from finetune.gate.decide import Decision, Trial, choose_share, decide
from finetune.gate.exam import Exam, measure
from finetune.gate.general import general_exam

__all__ = ["Decision", "Exam", "GateConfig", "Trial", "choose_share", "decide", "general_exam", "measure"]
