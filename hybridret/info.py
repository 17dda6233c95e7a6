"""What an index holds, as JSON can hold it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hybridret.changes import Changes
from hybridret.fit_cost import texts_of_fit
from hybridret.fusion import EVIDENCE
from hybridret.generation import LEARNED, Generation
from hybridret.store.bundle import Bundle

_PROMPTS_FILE = "config_sentence_transformers.json"


def describe(changes: Changes) -> dict[str, Any]:
    """Counts, settings and sizes of an index: on disk for a bundle, of the arrays for an index in memory."""
    generation, bundle, state = changes.generation, changes.bundle, changes.state
    n_documents = generation.n_documents
    cut_documents, cut_tokens = changes.store.cut()
    sizes = _array_bytes(generation) if bundle is None else _file_bytes(changes, bundle)
    return {
        "documents": n_documents,
        "documents_without_text": int((generation.alive & ~generation.has_text).sum()),
        "deleted_rows": generation.n_rows - n_documents,
        "generation": generation.number,
        "path": None if bundle is None else str(bundle.folder),
        "model": changes.model,
        "prompts": _prompts(bundle),
        "dimension": int(generation.dense.vectors.shape[1]),
        "config": asdict(generation.config),
        "docid": _docid(generation),
        "fusion": _fusion(generation),
        "updates": state.updates,
        "cut_by_window": {"documents": cut_documents, "tokens": cut_tokens},
        "files": {part: len(files) for part, files in state.files.items()},
        "bytes_per_document": {part: round(size / max(n_documents, 1), 1) for part, size in sizes.items()},
    }


def _prompts(bundle: Bundle | None) -> dict[str, str] | None:
    """The texts before queries and documents; None where the model is not in a bundle."""
    path = None if bundle is None else bundle.model / _PROMPTS_FILE
    if path is None or not path.is_file():
        return None
    saved = json.loads(path.read_text(encoding="utf-8")).get("prompts") or {}
    return {kind: saved.get(kind) or "" for kind in ("query", "document")}


def _fusion(generation: Generation) -> dict[str, Any]:
    ranker = generation.ranker
    if generation.config.fusion != LEARNED:
        return {"rule": generation.config.fusion, "weights": dict(generation.config.weights)}
    used = generation.applied_ranker
    weights = {name: round(weight, 3) for name, weight in zip(EVIDENCE, used.weights, strict=True)}
    if ranker is None:
        return {"fitted": False, "weights": weights, "texts_that_a_fit_encodes": texts_of_fit(generation.n_documents)}
    return {"fitted": True, "weights": weights, **ranker.report}


def _docid(generation: Generation) -> dict[str, Any] | None:
    docid = generation.docid
    if docid is None:
        return None
    return {
        "trained": docid.is_trained,
        **docid.facts(generation.config.docid_codes),
        "with_suffix": int((docid.suffixes[generation.alive] >= 0).sum()),
        "added_since_sorted": len(docid.codes) - docid.base.n_leaves,
    }


def _array_bytes(generation: Generation) -> dict[str, int]:
    docid = generation.docid
    own = [] if docid is None else ["docid", "trie", *docid.frozen]
    parts = ["vectors", "bm25", *own]
    return {part: sum(array.nbytes for array in generation.arrays(part).values()) for part in parts}


def _file_bytes(changes: Changes, bundle: Bundle) -> dict[str, int]:
    sizes = {part: sum(file.bytes for file in files) for part, files in changes.state.files.items()}
    sizes["documents"] = bundle.database.stat().st_size
    for part, folder in (("model", bundle.model), ("backbone", bundle.backbone)):
        if folder.is_dir():
            sizes[part] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sizes
