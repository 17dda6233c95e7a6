"""Asking a model under training: what it knows, what it gets wrong, and what it finds hard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.generative.config import DocidConfig
from finetune.generative.rows import Row
from hybridret.types import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from finetune.generative.model import DocidModel
    from finetune.generative.planned_trainer import Mistakes

_MISTAKES, _ASKED, _BATCH = 8, 4000, 64


def memorised(model: DocidModel, sentences: Sequence[Row], prompt: str, seed: int, most: int = 500) -> float:
    """The share of sentences, of a sample, whose document's docid is the likeliest of all documents'."""
    import torch

    picked = np.sort(np.random.default_rng(seed).permutation(len(sentences))[:most]).tolist()
    found = 0
    everything = torch.arange(len(model.places), device=model.tables.device)  # type: ignore[arg-type]
    for start in range(0, len(picked), _BATCH):
        part = [sentences[at] for at in picked[start : start + _BATCH]]
        with torch.no_grad():
            scores = model.document_scores(encoded_queries(model, [row.text for row in part], prompt), everything)
        best = scores.argmax(dim=1).tolist()
        found += sum(best[at] in row.documents for at, row in enumerate(part))
    return found / max(1, len(picked))


def own_mistakes(model: DocidModel, rows: Sequence[Row], prompt: str, config: DocidConfig, seed: int) -> Mistakes:
    """Questions that the model answers wrongly: their first right document with each better-ranked wrong one.

    Args:
        model: The model, whose log-probabilities become the reference.
        rows: Questions; at most 4,000 are asked.
        prompt: Text before queries.
        config: Whether wrong documents are drawn at random instead.
        seed: Seed of the choice.

    Returns:
        At most eight pairs a question, the worst mistakes first; none of questions answered at rank 1.
    """
    import torch

    from finetune.generative.planned_trainer import Mistakes
    from finetune.generative.trainer import docid_log_probs

    generator = np.random.default_rng(seed)
    picked = np.sort(generator.permutation(len(rows))[:_ASKED]).tolist()
    everything = np.arange(len(model.places))  # type: ignore[arg-type]
    pairs: list[tuple[int, int, int]] = []
    references: list[FloatArray] = [np.zeros((0, 2), dtype=np.float32)]
    for start in range(0, len(picked), _BATCH):
        part = picked[start : start + _BATCH]
        with torch.no_grad():
            queries = encoded_queries(model, [rows[at].text for at in part], prompt)
            turned = model.altered(queries, [rows[at] for at in part], everything)
            scores = _document_scores(model, queries, [rows[at] for at in part]).cpu().numpy()
            for place, at in enumerate(part):
                right = rows[at].documents
                best = int(right[scores[place][right].argmax()])
                better = np.flatnonzero(scores[place] > scores[place][best])
                better = better[np.argsort(-scores[place][better], kind="stable")][:_MISTAKES]
                if config.preference_random and len(better):
                    others = np.setdiff1d(np.arange(scores.shape[1]), right)
                    better = generator.choice(others, min(len(better), len(others)), replace=False)
                if not len(better):
                    continue
                pairs += [(at, best, wrong) for wrong in better.tolist()]
                both = torch.tensor([[best, wrong] for wrong in better.tolist()], device=queries.device)
                own = queries[place : place + 1].expand(len(both), -1)
                told = docid_log_probs(model, own, both)
                told += model.mean_scale * turned[place][both]
                references.append(told.cpu().numpy())
    table = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    return Mistakes(table[:, 0], table[:, 1], table[:, 2], np.concatenate(references))


def difficulties(model: DocidModel, rows: Sequence[Row], prompt: str) -> IntArray:
    """How many documents the model puts before the first right one of each text. *Shape:* (n_rows,), int64."""
    import torch

    found = []
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        with torch.no_grad():
            queries = encoded_queries(model, [row.text for row in part], prompt)
            scores = _document_scores(model, queries, part).cpu().numpy()
        found += [int((own > own[row.documents].max()).sum()) for row, own in zip(part, scores, strict=True)]
    return np.array(found, dtype=np.int64)


def _document_scores(model: DocidModel, queries: Tensor, rows: Sequence[Row]) -> Tensor:
    """Scores of all documents, what was lifted out of them taken out for lifted questions.

    *Shape:* (n_rows, n_documents).
    """
    import torch

    everything = np.arange(len(model.places))  # type: ignore[arg-type]
    scores = model.document_scores(queries, torch.from_numpy(everything).to(queries.device))
    return scores + model.mean_scale * model.altered(queries, rows, everything)


def encoded_queries(model: DocidModel, texts: list[str], prompt: str) -> Any:
    """Encodes questions without dropout. *Shape:* (n_texts, dimension)."""
    import torch

    was_training = model.training
    model.eval()
    features = model.encoder.preprocess(texts, prompt=prompt or None)
    encoded = model.encode(
        {name: each.to(model.tables.device) for name, each in features.items() if torch.is_tensor(each)}
    )
    model.train(was_training)
    return encoded
