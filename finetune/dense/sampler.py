"""Which rows meet in a batch: of one task and source, and no positive twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from torch.utils.data import BatchSampler

from hybridret.errors import InputError

_MOST_FAVOURED = 3


class TaskBatchSampler(BatchSampler):
    """Plans every global batch of a run ahead, pass after pass over the rows, each split among the processes.

    A batch holds rows of one task and different positives; tasks take turns in proportion to their rows. A row that
    cannot join because its positive is there already waits for the next batch of its pass; rows that are left when a
    pass cannot fill another batch are dropped until the next. The plan depends on the arguments alone, so that a
    resumed run meets the same batches.

    Args:
        tasks: Task of each row, joined with its source: made questions of one kind are no easy contrast to each other.
        positives: Positive of each row.
        batch_size: Rows of a global batch; smaller for a task that has fewer different positives.
        n_batches: Global batches of the whole run.
        seed: Seed of the order.
        n_processes: Among how many processes each batch is split.
        weights: How often each row is drawn in a pass, on average; None: once.
        favoured: Tasks that have at least half of the rows, from the first batch on, gone through again and again;
            where they fill smaller batches than the others, at most three of four batches.

    Raises:
        InputError: No task has two different positives a process: a contrast needs two.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        positives: Sequence[int],
        batch_size: int,
        n_batches: int,
        seed: int,
        n_processes: int = 1,
        weights: Sequence[float] | None = None,
        favoured: Collection[str] = (),
    ) -> None:
        self._positives, self._weights = np.asarray(positives), weights
        self._n_batches, self._seed, self._n_processes = n_batches, seed, n_processes
        names, self._favoured = np.asarray(tasks), set(favoured)
        self._rows = {task: np.flatnonzero(names == task) for task in dict.fromkeys(tasks)}
        self.sizes = {
            task: min(batch_size, len(np.unique(self._positives[rows]))) // n_processes * n_processes
            for task, rows in self._rows.items()
        }
        self.sizes = {task: size for task, size in self.sizes.items() if size >= max(2, n_processes)}
        if not self.sizes:
            raise InputError(
                f"contrastive training needs questions about at least {2 * n_processes} different documents"
            )

    def __len__(self) -> int:
        return self._n_batches * self._n_processes

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.global_batches():
            share = len(batch) // self._n_processes
            for process in range(self._n_processes):
                yield batch[process * share : (process + 1) * share]

    def global_batches(self) -> Iterator[list[int]]:
        """The batches that all processes together train on, in order."""
        planned, number = 0, 0
        while planned < self._n_batches:
            for batch in self._one_pass(number):
                yield batch
                planned += 1
                if planned == self._n_batches:
                    return
            number += 1

    def _one_pass(self, number: int) -> list[list[int]]:
        generator = np.random.default_rng((self._seed, number))
        kinds: tuple[list[list[int]], list[list[int]]] = ([], [])
        for task in self.sizes:
            kinds[task in self._favoured].extend(self._batches_of(task, generator))
        others, own = ([batches[at] for at in generator.permutation(len(batches))] for batches in kinds)
        return self._mixed(own, others, generator) if own and others else own + others

    def _mixed(self, own: list[list[int]], others: list[list[int]], generator: np.random.Generator) -> list[list[int]]:
        """Favoured batches before each other one until they have as many rows, at most three: so from the first on."""
        favoured, waiting = [task for task in self.sizes if task in self._favoured], deque(own)
        batches: list[list[int]] = []
        lead = 0
        for other in others:
            for _ in range(_MOST_FAVOURED):
                if lead >= len(other):
                    break
                if not waiting:
                    again = [batch for task in favoured for batch in self._batches_of(task, generator)]
                    waiting.extend(again[at] for at in generator.permutation(len(again)))
                batches.append(waiting.popleft())
                lead += len(batches[-1])
            batches.append(other)
            lead = max(0, lead - len(other))
        return [*batches, *waiting]

    def _batches_of(self, task: str, generator: np.random.Generator) -> Iterator[list[int]]:
        waiting = deque(self._order(self._rows[task], generator))
        size = self.sizes[task]
        while len(waiting) >= size:
            batch: list[int] = []
            used: set[int] = set()
            held: list[int] = []
            while waiting and len(batch) < size:
                row = waiting.popleft()
                positive = int(self._positives[row])
                if positive in used:
                    held.append(row)
                else:
                    used.add(positive)
                    batch.append(row)
            waiting.extendleft(reversed(held))
            if len(batch) < size:
                return
            yield batch

    def _order(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]], generator: np.random.Generator) -> list[int]:
        """The rows of a pass in random order, each as often as its weight says, a fraction by chance."""
        if self._weights is None:
            chosen = rows
        else:
            weights = np.asarray(self._weights)[rows]
            chosen = np.repeat(rows, np.floor(weights + generator.random(len(rows))).astype(int))
            if len(np.unique(self._positives[chosen])) < len(np.unique(self._positives[rows])):
                chosen = np.union1d(chosen, rows)
        order: list[int] = chosen[generator.permutation(len(chosen))].tolist()
        return order


def long_tail_weights(positives: Sequence[int], power: float) -> list[float]:
    """Weights that draw rows of rarely asked documents more often.

    Args:
        positives: Positive of each row.
        power: A document with n rows gets weight n ** -power each: 0 leaves all alike, 1 gives all documents the same
            share.

    Returns:
        One weight a row, with mean 1.
    """
    _, inverse, counts = np.unique(np.asarray(positives), return_inverse=True, return_counts=True)
    weights = counts[inverse].astype(float) ** -power
    scaled: list[float] = (weights / weights.mean()).tolist()
    return scaled
