"""Peak memory of answering questions from a bundle, in a process of its own.

``python -m benchmarks.memory BUNDLE RETRIEVER... < QUESTIONS``, questions being a JSON list of strings.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_TIMEOUT = 600


def peak_bytes() -> int:
    """The most memory that this process has held so far.

    On Linux by ``VmHWM``: ``ru_maxrss`` of a new process starts at what its parent held when it was started.
    """
    if _STATUS.is_file():
        found = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text(encoding="ascii"))
        if found is not None:
            return 1024 * int(found.group(1))
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_memory(bundle: Path, questions: Sequence[str], retrievers: Sequence[str]) -> dict[str, int]:
    """Starts a process that opens the bundle and answers the questions one by one.

    Returns:
        Bytes at most: after the imports, after opening, and after all.

    Raises:
        RuntimeError: The process failed.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.memory", str(bundle), *retrievers],
        input=json.dumps(list(questions)),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        raise RuntimeError(f"measuring memory failed: {done.stderr.strip().splitlines()[-1:]}")
    peaks: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return peaks


def main() -> None:
    """Measures this process."""
    from hybridret.hybrid import HybridIndex

    bundle, *retrievers = sys.argv[1:]
    questions = json.load(sys.stdin)
    peaks: dict[str, Any] = {"imports": peak_bytes()}
    index = HybridIndex.open(Path(bundle))
    peaks["opened"] = peak_bytes()
    for question in questions:
        index.search([question], 10, retrievers=retrievers)
    peaks["answered"] = peak_bytes()
    print(json.dumps(peaks))


if __name__ == "__main__":
    main()
