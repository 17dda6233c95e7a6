"""Arguments of transformers' trainers: one process, one device."""

from __future__ import annotations

import logging

from sentence_transformers import SentenceTransformerTrainingArguments
from transformers import TrainingArguments

_log = logging.getLogger(__name__)


class OneDevice(TrainingArguments):
    """Trains on the first GPU where there are several and one process.

    A trainer would wrap the model into ``DataParallel`` there, which splits each batch, so that losses over a whole
    batch would see parts of it, and hides all of the model but its ``forward``. Several GPUs take several processes.
    """

    @property
    def n_gpu(self) -> int:
        """How many GPUs this process trains on."""
        there = TrainingArguments.n_gpu.fget(self)  # type: ignore[attr-defined]
        if there > 1:
            _log.info("%d GPUs are there, and one is trained on; torchrun --nproc-per-node %d takes all", there, there)
        return min(1, int(there))


class OneDeviceArguments(OneDevice):
    """Of transformers' trainer."""


class OneDeviceRetrievalArguments(OneDevice, SentenceTransformerTrainingArguments):
    """Of sentence-transformers' trainer."""
