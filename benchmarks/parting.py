"""Questions divided by whether the documents that answer them were there before."""

from __future__ import annotations

from hybridret.data.dataset import Dataset


def parted(dataset: Dataset, old_ids: set[str]) -> tuple[Dataset, Dataset]:
    """Questions that old documents alone answer, and the others."""
    is_old = {query: all(doc_id in old_ids for doc_id in found) for query, found in dataset.qrels.items()}
    old, new = (
        dataset._replace(
            queries={query: text for query, text in dataset.queries.items() if is_old[query] == wanted},
            qrels={query: found for query, found in dataset.qrels.items() if is_old[query] == wanted},
        )
        for wanted in (True, False)
    )
    return old, new
