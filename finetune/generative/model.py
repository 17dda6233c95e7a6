"""What is trained: a query encoder, and a table of vectors for each level's codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional

from finetune.generative.altered import Alterations
from finetune.generative.rows import Row
from hybridret.generative import CodeDecoder
from hybridret.types import CodeArray, IntArray

_CPU_RUN = 16


class DocidModel(nn.Module):
    """A query encoder and the decoder's tables; documents' codes are fixed.

    As the code of a level does not depend on those before it, a docid's log-probability is a product of the query with
    the sum of its codes' scaled vectors, less a term that all docids share: all of a corpus's docids are scored by one
    matrix product, and the listwise loss over them is exact.

    Args:
        encoder: The encoder of queries; trained in place.
        decoder: Where the tables start.
        codes: *Shape:* (n_documents, n_levels), the documents' codes.
        alterations: Changes of documents' vectors; None: there are none.
    """

    def __init__(
        self,
        encoder: SentenceTransformer,
        decoder: CodeDecoder,
        codes: CodeArray,
        alterations: Alterations | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tables = nn.Parameter(torch.tensor(decoder.tables))
        self.log_scales = nn.Parameter(torch.log(torch.tensor(decoder.scales)))
        n_levels, n_codes = decoder.tables.shape[:2]
        offsets = np.arange(n_levels) * n_codes
        self.register_buffer("places", torch.from_numpy(codes.astype(np.int64) + offsets), persistent=False)
        changes = (
            np.zeros((0, decoder.tables.shape[2]), dtype=np.float32) if alterations is None else alterations.changes
        )
        self.altered_documents = np.zeros(0, dtype=np.int64) if alterations is None else alterations.documents
        # The last row, which -1 means, is of documents that lack nothing.
        self.register_buffer(
            "alterations", nn.functional.pad(torch.from_numpy(changes), (0, 0, 0, 1)), persistent=False
        )

    def encode(self, features: dict[str, Tensor]) -> Tensor:
        """Encodes texts; on a CPU in short runs of like length, which saves padding. *Shape:* (n_texts, dimension)."""
        tokens, n_texts = features["input_ids"], len(features["input_ids"])
        if tokens.device.type != "cpu" or n_texts <= _CPU_RUN:
            return self._unit(features)
        lengths = features["attention_mask"].sum(dim=1)
        order = lengths.argsort(stable=True)
        parts = []
        for run in order.split(_CPU_RUN):  # type: ignore[no-untyped-call]
            longest = int(lengths[run].max())
            parts.append(self._unit({name: each[run, :longest] for name, each in features.items()}))
        return torch.cat(parts)[order.argsort()]

    def _unit(self, features: dict[str, Tensor]) -> Tensor:
        encoded: Tensor = self.encoder(dict(features))["sentence_embedding"]
        return functional.normalize(encoded.float(), dim=1)

    def document_scores(self, queries: Tensor, documents: Tensor, length: int | None = None) -> Tensor:
        """Log-probabilities of documents' docids, up to a number that is the same for all of a query.

        Args:
            queries: *Shape:* (n_queries, dimension).
            documents: *Shape:* (n_documents,), int64.
            length: Of how many codes, the first ones; None: of all.

        Returns:
            *Shape:* (n_queries, n_documents).
        """
        scaled = (self.tables * self.log_scales.exp()[:, None, None]).flatten(0, 1)
        places: Any = self.places
        return queries @ functional.embedding_bag(places[documents, :length], scaled, mode="sum").T

    def altered(
        self, queries: Tensor, rows: Sequence[Row], documents: IntArray, generator: np.random.Generator | None = None
    ) -> Tensor:
        """What the cosines of lifted questions and documents change by where documents lack what was lifted out.

        A question's own document lacks the question's words, every other one those of one of its own questions: else a
        document that lacks something would be known by that alone.

        Args:
            queries: *Shape:* (n_rows, dimension).
            rows: The texts.
            documents: *Shape:* (n_documents,), int64, ascending, each row's own one among them.
            generator: Draws what others lack; None: what the first of their questions was made of.

        Returns:
            *Shape:* (n_rows, n_documents); zeros where a row's text was not lifted or a document lacks nothing.
        """
        own = np.array([row.altered_positive for row in rows], dtype=np.int64)
        lifted = np.flatnonzero(own >= 0)
        changes = queries.new_zeros((len(rows), len(documents)))
        if not len(lifted):
            return changes
        order = np.arange(len(self.altered_documents))[::-1]
        order = order if generator is None else generator.permutation(order)
        chosen = np.full(len(self.places), -1)  # type: ignore[arg-type]
        chosen[self.altered_documents[order]] = order
        alterations: Any = self.alterations
        picked = torch.from_numpy(lifted).to(queries.device)
        products = queries[picked] @ alterations[torch.from_numpy(chosen[documents]).to(queries.device)].T
        columns = np.searchsorted(documents, [rows[at].documents[0] for at in lifted.tolist()])
        places = torch.arange(len(lifted), device=queries.device), torch.from_numpy(columns).to(queries.device)
        exact = (queries[picked] * alterations[torch.from_numpy(own[lifted]).to(queries.device)]).sum(dim=1)
        return changes.index_put((picked,), products.index_put(places, exact))

    @property
    def mean_scale(self) -> Tensor:
        """By what a change of a cosine changes a score: a further code, untrained, would have this scale.

        See ``CodeDecoder.refined``, by which documents that come later get such codes. *Shape:* ().
        """
        return self.log_scales.exp().mean().detach()

    def code_log_probs(self, queries: Tensor) -> Tensor:
        """Log-probabilities of all codes, as ``CodeDecoder`` gives them. *Shape:* (n_queries, n_levels, n_codes)."""
        logits = torch.einsum("qd,lcd->qlc", queries, self.tables) * self.log_scales.exp()[:, None]
        return functional.log_softmax(logits, dim=2)

    def codes(self, documents: Tensor) -> Tensor:
        """The documents' codes. *Shapes:* (n,) to (n, n_levels), int64."""
        places: Any = self.places
        codes: Tensor = places[documents] - torch.arange(len(self.tables), device=places.device) * self.tables.shape[1]
        return codes

    def decoder(self) -> CodeDecoder:
        """The trained decoder."""
        tables, scales = self.tables.detach().float().cpu(), self.log_scales.detach().exp().float().cpu()
        return CodeDecoder(tables.numpy().copy(), scales.numpy().copy())
