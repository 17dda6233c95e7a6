"""Makers that ask a model: tiny T5 and Llama models of random weights, and LangChain's fake chat models."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage

from finetune.cleaning.normal import normal_form
from finetune.queries import QueriesConfig, make_questions
from finetune.queries.back_translation import BackTranslationMaker
from finetune.queries.batches import ReplyError
from finetune.queries.chat import ChatMaker, endpoint_chat, langchain_chat, local_chat
from finetune.queries.extractive import SentenceMaker
from finetune.queries.generation import LocalModel, load_seq2seq
from finetune.queries.prompts import SYSTEM, chat_request, read_reply
from finetune.queries.replies import Replies
from finetune.queries.seq2seq import Seq2SeqMaker
from finetune.teachers.endpoint import Endpoint, EndpointError
from hybridret.errors import InputError, ModelError
from hybridret.types import Document


def tokenizer(special: dict[str, str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [*special.values(), *string.ascii_letters, *string.digits, *string.punctuation, "▁"]
    made = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(pieces)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Split("", "isolated")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    if "eos_token" in special:
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **special)


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of random weights that writes and reads letters."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    made = tokenizer({"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"})
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(made),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=4,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        initializer_factor=3.0,
    )
    folder = tmp_path_factory.mktemp("t5")
    T5ForConditionalGeneration(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def short(model: LocalModel) -> LocalModel:
    model._new_tokens = 12
    return model


def test_seq2seq_queries_are_sampled_and_reproducible(t5_folder: Path, library: list[Document]) -> None:
    def make(n: int, seed: int, batch_size: int = 4) -> list[tuple[str, tuple[str, ...]]]:
        maker = Seq2SeqMaker(short(load_seq2seq(str(t5_folder), 8.0)), batch_size=batch_size)
        return [(question.text, question.positives) for question in maker(library, n, seed)]

    made = make(20, 0)
    assert len(made) == 20
    assert make(20, 0) == made
    assert make(9, 0) == made[:9]
    assert make(20, 1) != made
    assert len({normal_form(text) for text, _ in made}) == 20
    assert len({positives for _, positives in made[: len(library)]}) > 8


def test_a_killed_seq2seq_run_asks_for_the_rest_alone(t5_folder: Path, library: list[Document], tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    model = short(load_seq2seq(str(t5_folder), 8.0))
    whole = list(Seq2SeqMaker(model, batch_size=4)(library, 20, 0))
    running = Seq2SeqMaker(model, replies=Replies(path), batch_size=4)(library, 20, 0)
    first = [next(running) for _ in range(6)]
    running.close()  # type: ignore[attr-defined]
    path.write_bytes(path.read_bytes() + b'{"key": "torn')
    maker = Seq2SeqMaker(model, replies=Replies(path), batch_size=4)
    asked: list[int] = []
    ask = maker.ask

    def counted(prompts: list[str], seed: int) -> list[str]:
        asked.append(len(prompts))
        return ask(prompts, seed)

    maker.ask = counted  # type: ignore[method-assign]
    assert list(maker(library, 20, 0)) == whole
    assert whole[:6] == first
    assert len(asked) < len(path.read_text().splitlines())
    again = Seq2SeqMaker(model, replies=Replies(path), batch_size=4)
    again.ask = None  # type: ignore[assignment, method-assign]
    assert list(again(library, 20, 0)) == whole


def test_a_damaged_cache_of_replies_is_told(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text('{"key": "a", "replies": ["b"]}\nnonsense\n')
    with pytest.raises(InputError, match=r"replies.jsonl:2: no reply of a model"):
        Replies(path)


def test_seq2seq_from_settings(t5_folder: Path, library: list[Document], tmp_path: Path) -> None:
    config = QueriesConfig(makers={"seq2seq": 1, "titles": 1}, count=6, seq2seq_model=str(t5_folder))
    made = make_questions(library, config, cache_folder=tmp_path)
    assert {question.source for question in made} == {"seq2seq", "titles"}
    assert make_questions(library, config, cache_folder=tmp_path) == made
    with pytest.raises(ModelError, match="cannot be loaded"):
        make_questions(library, QueriesConfig(makers={"seq2seq": 1}, seq2seq_model=str(tmp_path)))


class Reversing:
    """Translates by turning the order of the words about, dropping the first."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, texts: list[str], seed: int) -> list[str]:
        return [" ".join(text.split()[:0:-1]) for text in texts]


def test_back_translation_keeps_labels_and_changes_words(library: list[Document], tmp_path: Path) -> None:
    base = {question.positive_text: question for question in SentenceMaker()(library, 100, 0)}
    maker = BackTranslationMaker(SentenceMaker(), Reversing("a"), Reversing("b"), Replies(tmp_path / "r"))  # type: ignore[arg-type]
    made = list(maker(library, 8, 0))
    assert len(made) == 8
    for question in made:
        original = base[question.positive_text]
        assert question.positives == original.positives
        assert normal_form(question.text) == normal_form(" ".join(original.text.split()[1:-1]))
        assert question.source == "back_translation"
    assert list(maker(library, 5, 0)) == made[:5]


def test_back_translation_by_two_models(t5_folder: Path, library: list[Document]) -> None:
    name = str(t5_folder)
    config = QueriesConfig(makers={"back_translation": 1}, count=3, back_translation=(name, name), batch_size=4)
    made = make_questions(library, config)
    assert made
    assert make_questions(library, config) == made


GOOD = '{"questions": [{"question": "Who eats grapes?", "answer": "the fox"}, {"question": "When?", "answer": 2019}]}'


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (GOOD, [("Who eats grapes?", "the fox"), ("When?", "2019")]),
        (f"Sure!\n```json\n{GOOD}\n```\nAnything else?", [("Who eats grapes?", "the fox"), ("When?", "2019")]),
        ('["Who eats?", "What is [1]?"]', [("Who eats?", None), ("What is [1]?", None)]),
        ('{"question": "Who eats?", "answer": ""}', [("Who eats?", None)]),
        ('[{"query": "fox grapes"}]', [("fox grapes", None)]),
        ("Well:\n1. Who eats this?\n2) Where is he?\n- no", [("Who eats this?", None), ("Where is he?", None)]),
        ("1. 狐狸为什么要吃葡萄呢？", [("狐狸为什么要吃葡萄呢？", None)]),
        ('{"questions": [{"question": 7}, {"question": ""}, {"question": "?!"}, null, 3, {"answer": "x"}]}', []),
        ("I cannot help with that.", []),
        ("", []),
        ("{{{{[[[[", []),
        ('{"questions": "none"}', []),
        ("[" * 5000, []),
        (json.dumps([{"question": "word " * 100}]), []),
    ],
)  # fmt: skip
def test_replies_are_read(reply: str, expected: list[tuple[str, str | None]]) -> None:
    assert [(draft.text, draft.answer) for draft in read_reply(reply)] == expected


def test_requests_ask_for_the_whole_a_sentence_hard_ones_and_a_constraint(library: list[Document]) -> None:
    fox, virus = library[0], library[1]
    whole, sentence, hard, constrained = (chat_request(virus, turn, random.Random(0), ()) for turn in range(4))
    assert len({whole, sentence, hard, constrained}) == 4
    assert all(virus.text in request for request in (whole, sentence, hard, constrained))
    assert "as a whole" in whole
    shown = sentence.partition("Sentence:\n")[2].partition("\n\nPassage")[0]
    assert shown in virus.text
    assert len(shown) < len(virus.text)
    assert "hard questions" in hard
    assert "category is pneumonia" in constrained
    assert chat_request(fox, 3, random.Random(0), ()) == chat_request(fox, 0, random.Random(0), ())
    assert "date is 2019" in chat_request(virus, 3, random.Random(0), ("year",))
    assert len(chat_request(fox._replace(text="x" * 9000), 0, random.Random(0), ())) < 4500


def test_questions_by_a_langchain_chat_model(library: list[Document], tmp_path: Path) -> None:
    replies = [
        json.dumps({"questions": [{"question": f"What is {number} plus {each}?", "answer": "it"} for each in range(2)]})
        for number in range(40)
    ]
    config = QueriesConfig(makers={"chat": 1}, count=30, batch_size=2)
    model = FakeListChatModel(responses=replies)
    made = make_questions(library, config, cache_folder=tmp_path, chat=model)
    assert len(made) == 30
    assert all(question.answer == "it" and question.source == "chat" for question in made)
    assert len({question.positives for question in made}) == len(library)
    used = model.i
    assert make_questions(library, config, cache_folder=tmp_path, chat=model) == made
    assert model.i == used


def test_a_chat_model_that_sometimes_talks_nonsense(library: list[Document], caplog: pytest.LogCaptureFixture) -> None:
    replies = [GOOD, "I am sorry, I cannot.", '["Where is the duck?"]', "{broken"]
    maker = ChatMaker(langchain_chat(FakeListChatModel(responses=replies)), "fake", batch_size=4)
    made = list(maker(library, 100, 0))
    assert {question.text for question in made} == {"Who eats grapes?", "When?", "Where is the duck?"}
    assert "replies of fake hold no question" in caplog.text


def test_a_chat_model_that_talks_nothing_but_nonsense(library: list[Document]) -> None:
    maker = ChatMaker(langchain_chat(FakeListChatModel(responses=["As an AI I refuse."])), "fake")
    with pytest.raises(ReplyError, match=r"none of the first 20 replies of fake is a question: 'As an AI I refuse\.'"):
        list(maker(library, 100, 0))


def test_a_chat_model_that_fails_keeps_what_was_asked(library: list[Document], tmp_path: Path) -> None:
    replies = iter([AIMessage(json.dumps([f"What is {number}?"])) for number in range(6)])
    path = tmp_path / "replies.jsonl"
    failing = ChatMaker(langchain_chat(GenericFakeChatModel(messages=replies)), "fake", (), Replies(path), 3)
    made = []
    with pytest.raises(ReplyError, match="the chat model GenericFakeChatModel failed"):
        made += [*failing(library, 100, 0)]
    assert len(path.read_text().splitlines()) == 2
    sound = langchain_chat(FakeListChatModel(responses=[f'["And what is {number}?"]' for number in range(90)]))
    assert len(list(ChatMaker(sound, "fake", (), Replies(path), 3)(library, 20, 0))) == 20


def test_the_chat_maker_wants_a_model(library: list[Document]) -> None:
    with pytest.raises(InputError, match=r"the maker chat wants a model: set queries.chat_model"):
        make_questions(library, QueriesConfig(makers={"chat": 1}))


def test_questions_through_an_endpoint(library: list[Document], server: Any) -> None:
    def answer(path: str, request: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        content = json.dumps([{"question": f"Why {len(server.calls)}?", "answer": "so"}])
        return 200, {}, json.dumps({"choices": [{"message": {"content": content}}]})

    server.answer = answer
    config = QueriesConfig(makers={"chat": 1}, count=4, chat_model="m", chat_url=server.url, batch_size=4)
    assert len(make_questions(library, config)) == 4
    path, request, _ = server.calls[0]
    assert (path, request["model"], request["temperature"]) == ("/v1/chat/completions", "m", 0.8)
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert request["messages"][0]["content"] == SYSTEM
    server.answer = lambda path, request: (200, {}, '{"choices": [{}]}')
    with pytest.raises(EndpointError, match="gave no message"):
        endpoint_chat(Endpoint(server.url), "m", 0.5)(["hello"], 0)


def test_a_local_causal_model_chats(library: list[Document], tmp_path: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    made = tokenizer({"pad_token": "<pad>", "unk_token": "<unk>"})
    made.model_max_length = 4000
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(made), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=4000, pad_token_id=0, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = LocalModel(LlamaForCausalLM(config), made, "llama", 1.0, new_tokens=20, input_tokens=3000)
    plain = model.chat_prompt("be kind", "hello")
    assert plain == "be kind\n\nhello\n\n"
    written = local_chat(model)(["hello", "how are you today"], 3)
    assert len(written) == 2
    assert all(0 < len(text) <= 20 for text in written)
    assert local_chat(model)(["hello", "how are you today"], 3) == written
    assert SYSTEM.replace(" ", "")[:40] not in "".join(written).replace(" ", "")
    made.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<go>{% endif %}"
    )
    assert model.chat_prompt("be kind", "hello") == "<system>be kind<user>hello<go>"
    model._input_tokens = 60
    cut = model.chat_prompt("be kind", "ask about: " + "a long passage " * 20)
    assert cut.startswith("<system>be kind<user>ask about: a long")
    assert cut.endswith("<go>")
    assert len(made(cut)["input_ids"]) <= 60
    folded = "<user>be kind\n\nhello<go>"
    for refusing in (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}",
        "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}",
    ):
        made.chat_template = (
            refusing + "<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<go>{% endif %}"
        )
        assert model.chat_prompt("be kind", "hello") == folded
    made.chat_template = None
    model._input_tokens = 3000
    model.name = "llama"
    with pytest.raises(ReplyError, match="none of the first 20 replies of llama is a question"):
        list(ChatMaker(local_chat(model), "llama", batch_size=20)(library * 2, 5, 0))
