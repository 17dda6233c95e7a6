"""The stage of a recipe that trains docids."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.numpy import load_file, save_file

from finetune.encoding import RememberingEncoder
from finetune.gate import choose_share
from finetune.gate.decide import DECIDING
from finetune.gate.exam import measure_vectors
from finetune.gate.merge import merged, merged_decoder
from finetune.generative.altered import SHARE, alter_documents
from finetune.generative.decide import decide_docids, measure_docids
from finetune.generative.train import train_docids
from finetune.preparing import MODEL
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder, DocidRetriever
from hybridret.models import load_model

if TYPE_CHECKING:
    from finetune.stages import Run
    from hybridret.dense.encoder import TransformerEncoder

_ARRAYS = "docids.safetensors"


def train_and_decide(run: Run, folder: Path, seconds: float) -> dict[str, Any]:
    """Fits codebooks to the shipped model's vectors, trains, and compares what may be shipped of it at most.

    Args:
        run: The fine-tuning run, up to its gate.
        folder: Gets codebooks, tables and the query encoder, and training's checkpoints.
        seconds: Time for training.

    Returns:
        The facts of training, and ``decision``: with labels that of the best share of the new weights.
    """
    config, seed = run.recipe.docid, run.recipe.seed
    vectors = run.shipped.encode_documents([document.text for document in run.texts], run.progress)
    quantizer = ResidualQuantizer.fit(vectors, *config.rq_sizes, seed, run.progress)
    queries, exam = run.shipped_copy(), run.exam
    prompt, start, training = queries.encoder.prompts.query, time.monotonic(), folder / "training"
    time_for_it = float("inf") if config.max_steps else SHARE * seconds
    questions, altered = alter_documents(run.split.train, run.shipped.encoder, training, time_for_it, run.progress)
    trained = train_docids(
        queries.model,
        quantizer,
        exam.documents,
        vectors,
        questions,
        config,
        training,
        prompt,
        max(seconds - (time.monotonic() - start), (1 - SHARE) * seconds),
        seed,
        run.progress,
        run.docid_labels,
        altered,
    )
    before = run.shipped_copy().model

    def merge(share: float) -> tuple[TransformerEncoder, CodeDecoder]:
        if share == 1.0:
            return queries.encoder, trained.decoder
        part = run.loaded(merged(before, queries.model, share)).encoder
        return part, merged_decoder(trained.start, trained.decoder, share)

    def value(share: float) -> float:
        """What dense and docid reach together on the held-out questions."""
        encoder, decoder = merge(share)
        asked = encoder.encode_queries(list(exam.queries.values()))
        found = measure_vectors(exam, asked, known), measure_docids(known, asked, quantizer, decoder, exam)
        return float(sum(each[DECIDING].mean() for each in found))

    known = run.shipped.encode_documents([document.text for document in exam.documents], run.progress)
    shares = choose_share(value, run.recipe.gate.shares) if run.is_labelled else {run.most: 0.0}
    best = max(shares, key=lambda share: shares[share])
    encoder, decoder = merge(best)
    decision = decide_docids(
        run.shipped,
        encoder,
        decoder,
        quantizer,
        exam,
        run.general,
        run.recipe.gate,
        run.language,
        len(shares),
        run.progress,
    )
    encoder.save(folder / MODEL)
    save_file({"codebooks": quantizer.codebooks, **decoder.arrays()}, folder / _ARRAYS)
    return {**trained.facts, "codes": quantizer.n_codes, "decision": {"share": best, **decision}}


def load_trained(run: Run, folder: Path) -> tuple[RememberingEncoder, DocidRetriever]:
    """What the stage left: the shipped encoder with the trained one for queries, and a docid retriever to fill."""
    queries = load_model(str(folder / MODEL))
    encoder = run.shipped.with_queries_of(run.shipped_copy().encoder.with_query_model(queries))
    arrays = load_file(folder / _ARRAYS)
    decoder = CodeDecoder(arrays["tables"], arrays["scales"])
    return encoder, DocidRetriever(ResidualQuantizer(arrays["codebooks"]), trained=decoder)
