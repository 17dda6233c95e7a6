"""The gate: no model is shipped that is worse than the one before."""

from finetune.gate.config import GateConfig
from finetune.gate.decide import Decision, Trial, decide
from finetune.gate.exam import Exam, measure
from finetune.gate.general import general_exam

__all__ = ["Decision", "Exam", "GateConfig", "Trial", "decide", "general_exam", "measure"]
