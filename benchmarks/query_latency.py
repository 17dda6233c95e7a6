"""What a query through HybridRetriever costs beside the encoder's forward pass."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch

from benchmarks.results import write_result
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import PYTHON_DOCS, read_corpus
from hybridret.dense import TransformerEncoder, make_encoder
from hybridret.hybrid import HybridIndex
from hybridret.langchain import HybridRetriever
from hybridret.types import RETRIEVERS

WARM_UP, ROUNDS = 20, 3


def main() -> None:
    """Times single warm queries on the built-in corpus, forward passes and retrievals in turn."""
    documents = read_corpus(PYTHON_DOCS)
    encoder = make_encoder()
    assert isinstance(encoder, TransformerEncoder)
    retriever = HybridRetriever(index=HybridIndex.build(documents, encoder), k=10)
    queries = list(read_dataset(PYTHON_DOCS, "test", {document.doc_id for document in documents}).queries.values())
    features = [encoder.model.preprocess([query]) for query in queries]
    systems: dict[str, Any] = {name: (name,) for name in RETRIEVERS} | {"all three": RETRIEVERS}
    times: dict[str, list[float]] = {name: [] for name in ("forward", "encode", "invoke", *systems)}
    for position in range(WARM_UP + ROUNDS * len(queries)):
        at = position % len(queries)
        with torch.inference_mode():
            times["forward"].append(_milliseconds(lambda: encoder.model(dict(features[at]))))
        times["encode"].append(_milliseconds(lambda: encoder.encode_queries([queries[at]])))
        times["invoke"].append(_milliseconds(lambda: retriever.invoke(queries[at])))
        for name, retrievers in systems.items():
            times[name].append(_milliseconds(lambda: retriever.index.search([queries[at]], 10, retrievers=retrievers)))
    medians = {name: median(values[WARM_UP:]) for name, values in times.items()}
    allowed = 1.5 * medians["forward"] + 5
    write_result(
        "query_latency",
        {
            "documents": len(documents),
            "median_ms": medians,
            "allowed_ms": allowed,
            "held": medians["invoke"] <= allowed,
        },
    )


def _milliseconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
