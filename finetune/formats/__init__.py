"""Reading and checking labelled questions in the formats that retrieval training uses."""

from finetune.formats.problems import Problem, problems_text
from finetune.formats.read import LabelledSet, lint, read_questions

__all__ = ["LabelledSet", "Problem", "lint", "problems_text", "read_questions"]
