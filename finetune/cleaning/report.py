"""What cleaning changed, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_EXAMPLES = 3


class Drop(NamedTuple):
    """One thing that cleaning left out or changed.

    Attributes:
        kind: ``document``, ``question`` or ``label``.
        item: The id of the document, or of the question (also that of a label).
        reason: Why, in the same words for all of one sort.
        detail: What exactly: the kept copy, the script, the line, the document of the label.
    """

    kind: str
    item: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class CleanReport:
    """What cleaning changed, and where left-out documents went.

    Attributes:
        documents_before: Documents given.
        documents_after: Training texts left.
        questions_before: Questions given.
        questions_after: Questions left.
        drops: Everything left out or changed.
        copies: Id of the kept document by the id of each left-out copy.
    """

    documents_before: int
    documents_after: int
    questions_before: int
    questions_after: int
    drops: tuple[Drop, ...] = ()
    copies: Mapping[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How often each reason occurred, ``KIND: REASON``, the most frequent first."""
        return dict(Counter(f"{drop.kind}: {drop.reason}" for drop in self.drops).most_common())

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object; ``drops`` lists every one."""
        return {
            "documents": {"before": self.documents_before, "after": self.documents_after},
            "questions": {"before": self.questions_before, "after": self.questions_after},
            "counts": self.counts(),
            "copies": dict(self.copies),
            "drops": [drop._asdict() for drop in self.drops],
        }

    def to_text(self) -> str:
        """The report for people: totals, and per reason the count and a few examples."""
        lines = [
            f"documents: {self.documents_before} given, {self.documents_after} training texts "
            "(the index keeps all of them)",
            f"questions: {self.questions_before} given, {self.questions_after} kept",
        ]
        for reason, count in self.counts().items():
            examples = [drop for drop in self.drops if f"{drop.kind}: {drop.reason}" == reason][:_EXAMPLES]
            shown = "; ".join(drop.item + (f" ({drop.detail})" if drop.detail else "") for drop in examples)
            lines.append(f"  {count} x {reason}, such as {shown}")
        return "\n".join(lines)
