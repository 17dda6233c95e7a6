"""Writers that are killed at any moment leave the state before or after their change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("changing.py")
KILLS = int(os.environ.get("HYBRIDRET_KILLS", "30"))


def test_a_killed_writer_leaves_the_state_before_or_after_and_loses_nothing_acknowledged(
    run_python: Callable[..., Any], tmp_path: Path
) -> None:
    """Two thirds are killed at a random call into C, a third at a random time; $HYBRIDRET_KILLS raises their number."""
    code = f"import runpy, sys; sys.argv[0] = {str(SCRIPT)!r}; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    done = run_python(code, "crash", tmp_path / "bundle", "7", str(KILLS))
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["kills"] == KILLS
    assert summary["in_a_change"] >= KILLS // 2
    assert len(summary["cut"]) >= 3
