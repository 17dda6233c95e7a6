"""The mix, its cache, and the round trip."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from finetune.cleaning.normal import normal_form
from finetune.queries import QueriesConfig, make_questions, round_trip
from finetune.queries.cache import CachedMaker
from finetune.queries.mixing import mix
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document, Progress


class CountingMaker:
    """Ten questions; counts how many it was asked for."""

    name = "counting"

    def __init__(self) -> None:
        self.made = 0

    def __call__(
        self, documents: Sequence[Document], n: int, seed: int, progress: Progress | None = None
    ) -> Iterator[Question]:
        for number in range(min(n, 10)):
            self.made += 1
            yield Question(f"counting-{number}", f"what is {number}?", ("a",), ("b",), answer="é", source="counting")


def test_the_mix_follows_the_weights_evenly_and_passes_shares_on() -> None:
    def stream(name: str, count: int) -> Iterator[Question]:
        return iter([Question(f"{name}{number}", f"{name} {number}", ("d",)) for number in range(count)])

    streams = {"a": stream("a", 60), "b": stream("b", 20), "c": stream("c", 2)}
    mixed = [question.query_id[0] for question in mix(streams, {"a": 3, "b": 1, "c": 1})]
    assert Counter(mixed[:10]) == {"a": 6, "b": 2, "c": 2}
    assert Counter(mixed[10:30]) == {"a": 15, "b": 5}
    assert Counter(mixed) == {"a": 60, "b": 20, "c": 2}
    for place in range(10, 60):
        assert abs(Counter(mixed[10:place])["a"] - 0.75 * (place - 10)) <= 1


def test_questions_of_a_collection(library: list[Document]) -> None:
    told: list[tuple[int, int]] = []
    config = QueriesConfig(makers={"sentences": 2, "keyphrases": 1}, count=24)
    made = make_questions(library, config, seed=3, progress=lambda _, done, total: told.append((done, total)))
    assert made == make_questions(library, config, seed=3)
    assert made != make_questions(library, config, seed=4)
    assert Counter(question.source for question in made) == {"sentences": 16, "keyphrases": 8}
    assert len({normal_form(question.text) for question in made}) == len(made) == 24
    assert told[-1] == (24, 24)
    assert len({question.query_id for question in made}) == 24


def test_the_default_number_and_mix_suit_any_collection(library: list[Document]) -> None:
    made = make_questions(library)
    assert len(made) == 2 * len(library)
    assert {question.positives[0] for question in made} > {"fox", "virus", "code", "chinese"}
    assert len(make_questions(library, QueriesConfig(at_most=5))) == 5


def test_short_documents_get_questions() -> None:
    tools = [Document(f"t{n}", f"Helps people to {verb} money between banks.", {}) for n, verb in enumerate(["send", "lend", "find"])]  # fmt: skip  # noqa: E501
    assert {question.positives[0] for question in make_questions(tools)} == {"t0", "t1", "t2"}


def test_cached_questions_are_read_not_made(tmp_path: Path, library: list[Document]) -> None:
    maker = CountingMaker()
    cached = CachedMaker(maker, tmp_path)
    first = list(cached(library, 20, 0))
    assert (maker.made, len(first)) == (10, 10)
    assert list(cached(library, 20, 0)) == first
    assert maker.made == 10
    list(cached(library, 20, 1))
    list(cached(library, 19, 0))
    list(cached(library[1:], 20, 0))
    list(CachedMaker(maker, tmp_path, "other settings")(library, 20, 0))
    assert maker.made == 50
    assert len(list(tmp_path.iterdir())) == 5


def test_a_killed_run_goes_on(tmp_path: Path, library: list[Document]) -> None:
    whole = list(CachedMaker(CountingMaker(), tmp_path / "whole")(library, 20, 0))
    cached = CachedMaker(CountingMaker(), tmp_path / "killed")
    running = cached(library, 20, 0)
    for _ in range(4):
        next(running)
    running.close()  # type: ignore[attr-defined]
    path = cached.path(library, 20, 0)
    path.write_bytes(path.read_bytes()[:-3])
    assert list(cached(library, 20, 0)) == whole
    assert path.read_bytes() == CachedMaker(CountingMaker(), tmp_path / "whole").path(library, 20, 0).read_bytes()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 11
    assert lines[-1] == {"complete": True}


def test_a_damaged_cache_is_told(tmp_path: Path, library: list[Document]) -> None:
    cached = CachedMaker(CountingMaker(), tmp_path)
    list(cached(library, 20, 0))
    path = cached.path(library, 20, 0)
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(InputError, match=r"jsonl:1: no question; remove the file to make it anew"):
        list(cached(library, 20, 0))


def test_make_questions_uses_the_cache(tmp_path: Path, library: list[Document]) -> None:
    config = QueriesConfig(makers={"titles": 1, "sentences": 1}, count=10)
    made = make_questions(library, config, cache_folder=tmp_path)
    assert {path.name.split("-")[1] for path in tmp_path.iterdir()} == {"titles", "sentences"}
    assert make_questions(library, config, cache_folder=tmp_path) == made == make_questions(library, config)


def test_no_documents_and_documents_that_give_nothing() -> None:
    with pytest.raises(InputError, match="there are no documents to make questions of"):
        make_questions([])
    with pytest.raises(InputError, match="no question could be made of 2 documents by titles"):
        make_questions([Document("a", "x", {}), Document("b", "", {})], QueriesConfig(makers={"titles": 1}))


def test_one_document_and_documents_all_alike(library: list[Document]) -> None:
    made = make_questions(library[:1], QueriesConfig(count=6))
    assert {question.positives for question in made} == {("fox",)}
    alike = [library[1]._replace(doc_id=f"d{number}") for number in range(5)]
    texts = [normal_form(question.text) for question in make_questions(alike, QueriesConfig(count=50))]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"makers": {"magic": 1}}, "no maker of questions 'magic'; known are titles, "),
        ({"makers": {"titles": -1}}, "the weight of titles must be a number from 0 up"),
        ({"makers": {"titles": float("nan")}}, "the weight of titles must be a number from 0 up"),
        ({"makers": {"titles": 0}}, "no maker of questions has a weight above 0"),
        ({"count": -1}, "count must be a whole number from 0 up"),
        ({"per_document": 0}, "per_document must be above 0"),
        ({"makers": {"seq2seq": 1}}, "the maker seq2seq wants a model: set queries.seq2seq_model"),
        ({"makers": {"back_translation": 1}, "back_translation": ("a",)}, "back_translation wants two models"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        QueriesConfig(**settings)  # type: ignore[arg-type]


def test_the_round_trip_keeps_what_leads_back() -> None:
    questions = [Question(f"q{number}", f"text {number}", (f"d{number}",)) for number in range(300)]
    asked: list[tuple[int, int]] = []

    def search(texts: list[str], k: int) -> list[list[str]]:
        asked.append((len(texts), k))
        numbers = [int(text.split()[1]) for text in texts]
        return [["x", f"d{number}" if number % 3 else "y", f"d{number}"] for number in numbers]

    assert round_trip(questions, search, 2) == [question for number, question in enumerate(questions) if number % 3]
    assert round_trip(questions, search, 3) == questions
    assert asked[:3] == [(128, 2), (128, 2), (44, 2)]
    assert round_trip([], search, 2) == []


def test_the_round_trip_on_an_index(library: list[Document], tiny_encoder: object) -> None:
    from hybridret.hybrid import HybridIndex

    index = HybridIndex.build(library, tiny_encoder)  # type: ignore[arg-type]

    def search(texts: list[str], k: int) -> list[list[str]]:
        return [[hit.doc_id for hit in hits] for hits in index.search(texts, k, retrievers=["bm25"])]

    good = Question("q1", "influenza pneumonia", ("virus",))
    bad = Question("q2", "influenza pneumonia", ("fox",))
    assert round_trip([good, bad], search, 1) == [good]
    assert round_trip([good, bad], search, len(library)) == [good, bad]


def test_a_round_trip_without_depth_or_with_a_broken_search() -> None:
    question = Question("q", "text", ("d",))
    with pytest.raises(InputError, match="at least, not 0"):
        round_trip([question], lambda texts, k: [["d"]], 0)
    with pytest.raises(InputError, match="gave 0 answers to 1 queries"):
        round_trip([question], lambda texts, k: [], 1)
