"""FlagEmbedding's JSON lines.

Fields: ``query``, ``pos``, ``neg``; by option ``pos_scores``, ``neg_scores``, ``prompt``, ``type``.
The format is described in FlagEmbedding's ``examples/finetune/embedder/README.md``.
"""

from __future__ import annotations

from pathlib import Path

from finetune.formats.pairs import records
from finetune.formats.problems import Problem
from finetune.formats.records import Faults, Parsed, Passage, Record


def read_flag_embedding(path: Path) -> Parsed:
    """Reads a file; passages are texts without ids."""
    for place, record in records(path):
        faults = Faults(place)
        text = faults.text(record.get("query"), "query")
        positives = faults.texts(record.get("pos"), "pos", needed=True)
        negatives = faults.texts(record.get("neg"), "neg", needed=False)
        scores = faults.scores(record.get("pos_scores"), "pos_scores", len(positives))
        more = faults.scores(record.get("neg_scores"), "neg_scores", len(negatives))
        task = faults.text(record.get("type") or "retrieval", "type")
        prompt = faults.text(record["prompt"], "prompt") if record.get("prompt") else None
        if not faults.found and bool(scores) != bool(more) and negatives:
            faults.found.append(Problem(faults.place, "of pos_scores and neg_scores there is only one"))
        if faults.found:
            yield from faults.found
            continue
        yield Record(
            faults.place,
            None,
            text,
            [Passage(None, passage) for passage in positives],
            [Passage(None, passage) for passage in negatives],
            scores + more,
            task,
            prompt,
        )
