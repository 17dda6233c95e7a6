"""The code decoder's tables and the query encoder go on learning."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from finetune.continual.decide import Models
from finetune.continual.learner import Learner
from finetune.continual.rows import Material
from finetune.continual.train import go_on
from finetune.gate import Exam
from finetune.gate.decide import Values
from finetune.gate.merge import merged, merged_decoder
from finetune.generative.altered import Alterations
from finetune.generative.decide import measure_docids
from hybridret.dense import TransformerEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder, DocidRetriever, IndexedDocids
from hybridret.models import load_model
from hybridret.types import FloatArray

_ARRAYS, _MODEL = "decoder.safetensors", "model"


class TablesLearner(Learner):
    """Trains code tables, from the codebooks where docids were not trained before, and the encoder of queries."""

    matches_vectors = True

    @property
    def docid(self) -> DocidRetriever:
        """The bundle's docids."""
        docid = self.generation.docid
        assert isinstance(docid, DocidRetriever)
        return docid

    @property
    def inputs(self) -> dict[str, Any]:
        """Of the encoder, codebooks and tables."""
        state = self.changes.state
        parts = [state.files.get(part, []) for part in ("codebooks", "decoder")]
        return {"model": state.model_files, "decoder": [file.sha256 for files in parts for file in files]}

    def train(
        self, material: Material, folder: Path, seconds: float, alterations: Alterations | None = None
    ) -> dict[str, Any]:
        """Trains; see the base."""
        query_model, recipe = self.encoder.query_model(), self.recipe
        trained = go_on(
            query_model,
            self.docid.decoder,
            self.docid.codes[self.rows],
            self.vectors,
            material,
            recipe.docid,
            recipe.continual,
            folder / "training",
            self.encoder.prompts.query,
            seconds,
            recipe.seed,
            self.progress,
            alterations,
        )
        TransformerEncoder(query_model, self.encoder.name, self.encoder.prompts).save(folder / _MODEL)
        save_file(trained.decoder.arrays(), folder / _ARRAYS)
        return trained.facts

    def models(self, ratio: float, folder: Path) -> Models:
        """The old encoder and tables with a share of the new ones."""
        encoder, decoder, quantizer = self.encoder, self.docid.decoder, self.docid.quantizer
        if ratio > 0.0:
            arrays, new = load_file(folder / _ARRAYS), load_model(str(folder / _MODEL))
            if ratio < 1.0:
                new = merged(encoder.query_model(), new, ratio)
            encoder = encoder.with_query_model(new)
            decoder = merged_decoder(decoder, CodeDecoder(arrays["tables"], arrays["scales"]), ratio)
        return Models(encoder, partial(_measured, quantizer, decoder), partial(_retrained, quantizer, decoder))


def _measured(
    quantizer: ResidualQuantizer, decoder: CodeDecoder, exam: Exam, vectors: FloatArray, queries: FloatArray
) -> Values:
    return measure_docids(vectors, queries, quantizer, decoder, exam)


def _retrained(quantizer: ResidualQuantizer, decoder: CodeDecoder, was: IndexedDocids) -> DocidRetriever | None:
    """Docids under the decoder, whose codebooks may have got further levels since."""
    if not isinstance(was, DocidRetriever) or not was.quantizer.refines(quantizer):
        return None
    return was.with_decoder(decoder.refined(was.quantizer.codebooks[quantizer.n_levels :]))
