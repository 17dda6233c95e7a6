"""Timing: calls in turn after a warm-up, percentiles, and a fixed number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np

Call = Callable[[int], Any]
PERCENTILES = (50, 95, 99)


@contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Lets torch and faiss use so many threads inside the block."""
    import faiss
    import torch

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        faiss.omp_set_num_threads(before[1])


def milliseconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def timed_in_turn(calls: Mapping[str, Call], n_times: int, warm_up: int) -> dict[str, list[float]]:
    """Times calls in turn, so that what else the machine does falls on all of them alike.

    Args:
        calls: By name what is timed; each is given the number of the round.
        n_times: How often each is timed.
        warm_up: Rounds before that, which do not count.

    Returns:
        Milliseconds by name.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for at in range(-warm_up, n_times):
        for name, call in calls.items():
            taken = milliseconds(lambda: call(at))
            if at >= 0:
                times[name].append(taken)
    return times


def percentiles(times: list[float]) -> dict[str, float]:
    """``p50``, ``p95`` and ``p99``."""
    return {f"p{each}": float(np.percentile(times, each)) for each in PERCENTILES}


def repeated_ratio(first: Mapping[str, list[float]], second: Mapping[str, list[float]], over: str, under: str) -> Any:
    """A ratio of medians, measured twice.

    Args:
        first: Times by name of one measurement.
        second: Times by name of the other one.
        over: Whose median is divided.
        under: By whose.

    Returns:
        The two ratios, and their difference as a share of the smaller one.
    """
    ratios = [median(times[over]) / median(times[under]) for times in (first, second)]
    return {
        "ratio": f"{over} / {under}",
        "first": ratios[0],
        "second": ratios[1],
        "difference": (max(ratios) - min(ratios)) / min(ratios),
    }
