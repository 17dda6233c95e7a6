"""What a language model reads before the text whose likelihood is the label."""

from __future__ import annotations

from typing import NamedTuple


class Prompt(NamedTuple):
    """A text before a target, in two parts so that the passage can be cut to the model's window.

    Attributes:
        passage: The passage with its heading; empty for the likelihood without it.
        rest: What follows up to the target.
        target: The text whose likelihood is measured; it begins with a space.
    """

    passage: str
    rest: str
    target: str

    @property
    def before(self) -> str:
        """Everything before the target."""
        return self.passage + self.rest


def make_prompt(question: str, passage: str | None, answer: str | None) -> Prompt:
    """The prompt for a question and a passage.

    With an answer the target is the answer, given passage and question (LLM-Embedder's reward: Zhang et al., "Retrieve
    Anything To Augment Large Language Models", 2023, section 2.2). Without one it is the question given the
    passage (Sachan et al., "Improving passage retrieval with zero-shot question generation", 2022, equation 2).

    Args:
        question: The question.
        passage: The passage; None leaves it out.
        answer: The answer, where there is one.
    """
    heading = "" if passage is None else f"Passage: {passage}"
    if answer is None:
        return Prompt(heading, "\nQuestion:", f" {question.strip()}")
    return Prompt(heading, f"\nQuestion: {question.strip()}\nAnswer:", f" {answer.strip()}")


def label(with_passage: float, without: float | None, n_tokens: int, normalise: bool) -> float:
    """The label from a target's log-likelihoods.

    Args:
        with_passage: Sum over its tokens, given the passage.
        without: The same without the passage, to subtract; None: not subtracted.
        n_tokens: Tokens of the target.
        normalise: Whether to divide by them.
    """
    difference = with_passage - (0.0 if without is None else without)
    return difference / max(n_tokens, 1) if normalise else difference
