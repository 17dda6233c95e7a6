"""A DSI-style peer: a T5-shaped model that writes one token a document, trained from scratch on texts of all.

Tay et al., "Transformer Memory as a Differentiable Search Index", NeurIPS 2022, with atomic ids, and made questions as
in Zhuang et al., "Bridging the Gap Between Indexing and Retrieval", 2022. Theirs start from a pretrained T5; this one
has the time that a user would wait, and its quality says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.subject import Subject
from benchmarks.systems import Answer
from hybridret.types import Queries

VOCABULARY, WIDTH, LAYERS, DECODER_LAYERS, HEADS = 8000, 256, 4, 2, 4
BATCH, RATE, MOST_TOKENS, QUESTIONS_A_DOCUMENT, SEED = 32, 1e-3, 48, 2.0, 0
_SPECIAL = ("<pad>", "</s>", "<unk>")


class Dsi:
    """Trains the model; see the module.

    Args:
        subject: Its documents are learned.
        seconds: Time for training.
        most_steps: Steps after which it ends all the same.
    """

    def __init__(self, subject: Subject, seconds: float, most_steps: int = 100_000) -> None:
        from transformers import set_seed

        from hybridret.docids import fit_scheme
        from hybridret.generative import BackboneRetriever, Seq2SeqBackbone, add_code_tokens

        generation = subject.index._changes.generation
        row_of = {generation.ids[row]: row for row in np.flatnonzero(generation.alive).tolist()}
        documents = [each for each in subject.collection.documents if each.doc_id in row_of]
        vectors = generation.dense.vectors[[row_of[each.doc_id] for each in documents]]
        self._ids = [each.doc_id for each in documents]
        self._texts, self._rows = _lessons(documents)
        set_seed(SEED)
        tokenizer = _tokenizer(self._texts)
        scheme = fit_scheme("atomic", vectors, documents, SEED)
        model = _model(len(tokenizer))
        sizes = (len(documents),)
        add_code_tokens(model, tokenizer, sizes)
        backbone = Seq2SeqBackbone(model, tokenizer, sizes, MOST_TOKENS)
        self._retriever = BackboneRetriever.of_scheme(scheme, backbone, vectors, documents)
        self.steps = self._train(seconds, most_steps)

    def __call__(self, texts: Sequence[str], k: int) -> list[Answer]:
        """Answers questions."""
        asked = Queries(list(texts), np.zeros((len(texts), 0), dtype=np.float32))
        runs = self._retriever.search(asked, k, None, np.arange(len(self._ids)))
        return [
            {self._ids[row]: score for row, score in zip(run.rows.tolist(), run.scores.tolist(), strict=True)}
            for run in runs
        ]

    def _train(self, seconds: float, most_steps: int) -> int:
        from transformers import Trainer, TrainingArguments

        from finetune.dense.callbacks import Deadline

        backbone, docids = self._retriever.backbone, self._retriever.docids

        class Lessons(Trainer):
            def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
                return backbone.loss(inputs["texts"], inputs["docids"].cpu().numpy())

        def collate(picked: list[int]) -> dict[str, Any]:
            import torch

            texts = [self._texts[at] for at in picked]
            return {"texts": texts, "docids": torch.as_tensor(docids[[self._rows[at] for at in picked]])}

        with tempfile.TemporaryDirectory(prefix="hybridret-") as folder:
            settings = TrainingArguments(
                output_dir=folder,
                max_steps=most_steps,
                per_device_train_batch_size=BATCH,
                learning_rate=RATE,
                lr_scheduler_type="constant_with_warmup",
                warmup_steps=50,
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
                remove_unused_columns=False,
                use_cpu=True,
                seed=SEED,
            )
            trainer = Lessons(
                backbone.model,  # type: ignore[attr-defined]
                settings,
                data_collator=collate,
                train_dataset=list(range(len(self._texts))),
                callbacks=[Deadline(seconds)],
            )
            trainer.train()
        return int(trainer.state.global_step)


def _lessons(documents: Any) -> tuple[list[str], list[int]]:
    """Texts to learn, and their documents: sentences, and questions made of the documents."""
    from finetune.generative.rows import question_rows, sentence_rows
    from finetune.queries.config import QueriesConfig
    from finetune.queries.make import make_questions

    made = make_questions(documents, QueriesConfig(per_document=QUESTIONS_A_DOCUMENT), SEED)
    rows = [*sentence_rows(documents), *question_rows(made, documents)]
    return [row.text for row in rows], [int(row.documents[0]) for row in rows]


def _tokenizer(texts: Sequence[str]) -> Any:
    """Word pieces of the corpus: a vocabulary of others would mostly go unlearned."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordPiece(unk_token=_SPECIAL[2]))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def shown() -> Iterator[str]:
        yield from texts

    made.train_from_iterator(shown(), trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=list(_SPECIAL)))
    end = (_SPECIAL[1], made.token_to_id(_SPECIAL[1]))
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[end])
    named: Any = dict(zip(("pad_token", "eos_token", "unk_token"), _SPECIAL, strict=True))
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=made, **named)  # type: ignore[no-untyped-call]
    return tokenizer


def _model(vocabulary: int) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    settings: dict[str, Any] = {"decoder_start_token_id": 0}
    config = T5Config(
        vocab_size=vocabulary,
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=4 * WIDTH,
        num_layers=LAYERS,
        num_decoder_layers=DECODER_LAYERS,
        num_heads=HEADS,
        pad_token_id=0,
        eos_token_id=1,
        **settings,
    )
    return T5ForConditionalGeneration(config)
