"""Soft labels: how well passages answer questions, by models larger than the one that is trained."""

from finetune.teachers.cache import CachedTeacher
from finetune.teachers.config import LabelsConfig
from finetune.teachers.make import make_teacher

__all__ = ["CachedTeacher", "LabelsConfig", "make_teacher"]
