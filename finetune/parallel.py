"""Several processes of one run, as torchrun or accelerate start them."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE = timedelta(hours=12)
_LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE")
"""What torchrun and accelerate tell a process of its place among the others."""


def is_first() -> bool:
    """Whether this process runs what is run once."""
    return int(os.environ.get("RANK", "0")) == 0


def join() -> None:
    """Joins the other processes; the wait for stages that the first runs alone may be long."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from accelerate import PartialState

        PartialState(timeout=_PATIENCE, cpu=not _has_accelerator())
        atexit.unregister(_leave)
        atexit.register(_leave)


def wait() -> None:
    """Waits until all processes are here."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import torch.distributed

        torch.distributed.barrier()


def agreed(value: T) -> T:
    """The first process's value, for all of them; within ``outside_group`` the value itself."""
    import torch.distributed

    is_single = int(os.environ.get("WORLD_SIZE", "1")) <= 1
    if is_single or not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    shared = [value]
    torch.distributed.broadcast_object_list(shared, src=0)
    return shared[0]


@contextmanager
def outside_group() -> Iterator[None]:
    """What this process does within is done as if there were no others: it waits for none, and none for it.

    Trainers take from the environment, and from what accelerate made of it, that they are one of several; one that the
    first process runs alone would wait for the others without end.
    """
    kept = {name: os.environ.pop(name) for name in _LAUNCHED if name in os.environ}
    _forget_group()
    try:
        yield
    finally:
        os.environ.update(kept)
        _forget_group()
        join()


def run_in_first(work: Callable[[], T]) -> T:
    """Does something in the first process alone, outside the group, and gives its result to all."""
    join()
    result: Any = None
    if is_first():
        with outside_group():
            result = work()
    wait()
    done: T = agreed(result)
    return done


def _forget_group() -> None:
    """Has accelerate look again whether this process is one of several; the group itself stays."""
    if "accelerate" in sys.modules:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)


def _has_accelerator() -> bool:
    import torch

    return bool(torch.accelerator.is_available())


def _leave() -> None:
    """Ends gloo's threads while the interpreter still runs.

    A process that ends with them may be aborted although its work is done (torch 2.13, pytorch/pytorch#190489). NCCL
    does without: after a failure of one process it would wait for the others.
    """
    import torch.distributed

    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        torch.distributed.destroy_process_group()
