"""The stage of a recipe that trains docids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.numpy import load_file, save_file

from finetune.encoding import RememberingEncoder
from finetune.gate.merge import merged, merged_decoder
from finetune.generative.decide import decide_docids
from finetune.generative.train import train_docids
from finetune.preparing import MODEL
from finetune.splitting import held_out_exam
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder, DocidRetriever
from hybridret.models import load_model

if TYPE_CHECKING:
    from finetune.stages import Run

_ARRAYS = "docids.safetensors"


def train_and_decide(run: Run, folder: Path, seconds: float) -> dict[str, Any]:
    """Fits codebooks to the shipped model's vectors, trains, and compares what may be shipped of it at most.

    Args:
        run: The fine-tuning run, up to its gate.
        folder: Gets codebooks, tables and the query encoder, and training's checkpoints.
        seconds: Time for training.

    Returns:
        The facts of training, and ``decision``.
    """
    config, seed = run.recipe.docid, run.recipe.seed
    vectors = run.shipped.encode_documents([document.text for document in run.texts], run.progress)
    quantizer = ResidualQuantizer.fit(vectors, *config.rq_sizes, seed, run.progress)
    queries, exam = run.shipped_copy(), held_out_exam(run.texts, run.split.held_out)
    prompt = queries.encoder.prompts.query
    trained = train_docids(
        queries.model,
        quantizer,
        exam.documents,
        vectors,
        run.split.train,
        config,
        folder / "training",
        prompt,
        seconds,
        seed,
        run.progress,
        run.docid_labels,
    )
    model, decoder = queries.model, trained.decoder
    if run.most < 1.0:
        model = merged(run.shipped_copy().model, model, run.most)
        decoder = merged_decoder(CodeDecoder(quantizer.codebooks), decoder, run.most)
    encoder = run.loaded(model).encoder
    decision = decide_docids(run.shipped, encoder, quantizer, decoder, exam, run.general, run.recipe.gate)
    encoder.save(folder / MODEL)
    save_file({"codebooks": quantizer.codebooks, **decoder.arrays()}, folder / _ARRAYS)
    return {**trained.facts, "codes": quantizer.n_codes, "decision": decision}


def load_trained(run: Run, folder: Path) -> tuple[RememberingEncoder, DocidRetriever]:
    """What the stage left: the shipped encoder with the trained one for queries, and a docid retriever to fill."""
    queries = load_model(str(folder / MODEL))
    encoder = run.shipped.with_queries_of(run.shipped_copy().encoder.with_query_model(queries))
    arrays = load_file(folder / _ARRAYS)
    decoder = CodeDecoder(arrays["tables"], arrays["scales"])
    return encoder, DocidRetriever(ResidualQuantizer(arrays["codebooks"]), trained=decoder)
