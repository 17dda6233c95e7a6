"""The gate: no model is shipped that is worse than the one before."""

from finetune.gate.config import GateConfig
from finetune.gate.decide import Decision, Trial, choose_share, decide
from finetune.gate.exam import Exam, measure
from finetune.gate.general import general_exam
from finetune.gate.hybrid import HybridExam

__all__ = ["Decision", "Exam", "GateConfig", "HybridExam", "Trial", "choose_share", "decide", "general_exam", "measure"]
