"""How many steps fit into the time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from finetune import parallel
from finetune.errors import TrainingError

_PLAN = "plan.json"


def planned_steps(
    folder: Path,
    fixed: int,
    seconds: float,
    seconds_per_step: Callable[[], float],
    what: str,
    advice: str,
    most: int | None = None,
    together: bool = False,
) -> int:
    """The steps of a training, measured once and kept, so that a resumed one has the same schedule.

    Args:
        folder: Where the number is kept.
        fixed: The steps where the configuration says so; 0: as many as fit.
        seconds: Time for training.
        seconds_per_step: Measures how long a step takes.
        what: What is trained, for the message.
        advice: What to do where there is no time, for the message.
        most: Steps after which there is nothing left to learn from.
        together: Whether all processes are here; the first one's plan holds for all.

    Raises:
        TrainingError: There is no time for a step.
    """
    plan = folder / _PLAN
    known = json.loads(plan.read_text(encoding="utf-8")) if plan.is_file() else None
    known = parallel.agreed(known) if together else known  # the first one may write it before others look
    if known is not None:
        return int(known["steps"])
    facts: dict[str, float] = {"steps": fixed}
    if not fixed:
        each, left = seconds_per_step(), max(0.0, seconds)
        each, left = parallel.agreed((each, left)) if together else (each, left)  # all stop where there is no time
        facts = {"steps": int(left / each), "seconds_per_step": each, "seconds": seconds}
        if facts["steps"] < 1:
            raise TrainingError(
                f"there is no time to train {what}: one step takes {each:.1f} s and {left:.0f} s are left; {advice}"
            )
        if most is not None:
            facts["steps"] = min(most, facts["steps"])
    if together:
        facts = parallel.agreed(facts)
    if parallel.is_first():
        plan.write_text(json.dumps(facts), encoding="utf-8")
    return int(facts["steps"])
