"""Several processes of one run, as torchrun or accelerate start them."""

from __future__ import annotations

import atexit
import os
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = timedelta(hours=12)


def is_first() -> bool:
    """Whether this process runs what is run once."""
    return int(os.environ.get("RANK", "0")) == 0


def join() -> None:
    """Joins the other processes; the wait for stages that the first runs alone may be long."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from accelerate import PartialState

        PartialState(timeout=_PATIENCE, cpu=not _has_accelerator())
        atexit.register(_leave)


def wait() -> None:
    """Waits until all processes are here."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import torch.distributed

        torch.distributed.barrier()


def agreed(value: T) -> T:
    """The first process's value, for all of them."""
    import torch.distributed

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    shared = [value]
    torch.distributed.broadcast_object_list(shared, src=0)
    return shared[0]


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
