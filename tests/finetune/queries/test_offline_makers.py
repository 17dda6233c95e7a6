"""What each maker that needs no model makes of the small collection."""

from __future__ import annotations

import random

import pytest

from finetune.cleaning.normal import normal_form, words
from finetune.queries import MAKERS, QueriesConfig
from finetune.queries.config import OFFLINE
from finetune.queries.keyphrases import Keyphrases
from finetune.queries.noise import NEIGHBOURS, REWRITES, keywords, reorder, rewrite, synonyms, typo
from finetune.queries.synonyms import SYNONYMS
from finetune.queries.wh_rules import questions_about
from finetune.types import Question
from hybridret.types import Document


def make(name: str, documents: list[Document], n: int = 500, seed: int = 0, **settings: object) -> list[Question]:
    return list(MAKERS[name](QueriesConfig(**settings), None, None)(documents, n, seed))  # type: ignore[arg-type]


def of(questions: list[Question], doc_id: str) -> list[Question]:
    return [question for question in questions if question.positives == (doc_id,)]


@pytest.mark.parametrize("name", OFFLINE)
def test_makers_are_reproducible_and_their_first_questions_do_not_depend_on_the_number(
    name: str, library: list[Document]
) -> None:
    made = make(name, library)
    assert made
    assert make(name, library) == made
    assert make(name, library, n=2) == made[:2]
    assert len({question.query_id for question in made}) == len(made)
    assert len({normal_form(question.text) for question in made}) == len(made)
    assert all(question.query_id.startswith(name) and question.source == name for question in made)
    assert all(question.positives[0] in {document.doc_id for document in library} for question in made)
    assert make(name, library, n=0) == []
    assert make(name, []) == []


@pytest.mark.parametrize("name", ["sentences", "spans", "keyphrases", "questions", "rewrites"])
def test_another_seed_makes_others(name: str, library: list[Document]) -> None:
    assert [question.text for question in make(name, library)] != [
        question.text for question in make(name, library, seed=1)
    ]


@pytest.mark.parametrize("name", ["sentences", "keyphrases", "rewrites", "questions"])
def test_documents_take_turns(name: str, library: list[Document]) -> None:
    made = [question.positives[0] for question in make(name, library)]
    first_round = made[: len(set(made))]
    assert len(set(first_round)) == len(first_round)


def test_summaries_of_entries() -> None:
    entries = {"f": "os.path.size(name)\nReturn the size of a file. It fails.", "g": "Only one line.", "h": "tool\n"}
    made = make("summaries", [Document(name, text, {}) for name, text in entries.items()])
    (question,) = made
    assert (question.text, question.positive_text) == ("Return the size of a file", "os.path.size(name) It fails.")
    named = make("summaries", [Document("t", "GiftTool Finds gifts for all friends.", {"title": "GiftTool"})])
    assert (named[0].text, named[0].positive_text) == ("Finds gifts for all friends", "GiftTool")


@pytest.mark.parametrize("name", ["titles", "sentences", "spans"])
def test_what_was_lifted_is_removed(name: str, library: list[Document]) -> None:
    texts = {document.doc_id: " ".join(words(document.text)) for document in library}
    for question in make(name, library):
        assert question.positive_text is not None
        original, rest = texts[question.positives[0]], " ".join(words(question.positive_text))
        lifted = " ".join(words(question.text))
        assert lifted in original
        assert lifted not in rest
        assert len(original.split()) > len(rest.split()) > 0
        assert set(rest.split()) <= set(original.split())


def test_titles(library: list[Document]) -> None:
    made = make("titles", library)
    assert {question.text for question in made} == {
        "The fox and the grapes",
        "Influenza vaccination in elderly patients",
    }
    shared = [Document(f"d{n}", f"Story {text}", {"title": "Story"}) for n, text in enumerate(["a b c d e f"] * 3)]
    assert make("titles", shared) == []
    assert [question.text for question in make("titles", [Document("t", "FinanceTool helps you with all money", {"title": "FinanceTool"})])] == ["finance tool"]  # fmt: skip  # noqa: E501


def test_sentences_and_claims(library: list[Document]) -> None:
    texts = {question.text for question in of(make("sentences", library), "virus")}
    assert "yearly vaccination reduces hospital admissions for pneumonia" in texts
    assert "We studied 4.5 million vaccinated adults in Denmark" in texts
    assert of(make("sentences", library), "chinese")
    assert not of(make("sentences", library), "short")
    assert not of(make("sentences", library), "code")


def test_keyphrases_prefer_what_is_rare(library: list[Document]) -> None:
    keyphrases = Keyphrases([document.text for document in library])
    best = [phrase.text for phrase in keyphrases(library[1].text, 6)]
    assert any("vaccination" in phrase for phrase in best)
    assert any("pneumonia" in phrase for phrase in best)
    weights = [phrase.weight for phrase in keyphrases(library[1].text, 6)]
    assert weights == sorted(weights, reverse=True)
    assert not any(phrase.split()[0] in ("the", "of", "in") for phrase in best)
    assert keyphrases("", 3) == []
    import math

    assert keyphrases.idf("fox") == math.log((13 + 1) / (1 + 0.5))
    made = of(make("keyphrases", library), "short")
    assert made
    assert all(question.positive_text is None for question in made)


def test_cloze_asks_for_what_it_leaves_out(library: list[Document]) -> None:
    texts = {document.doc_id: document.text for document in library}
    for question in make("cloze", library):
        assert question.answer
        assert question.answer in texts[question.positives[0]]
        assert "what" in question.text or "什么" in question.text
    assert of(make("cloze", library), "chinese")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The fox saw the grapes on the vine.", ("what fox saw", None)),
        ("The fox saw the grapes on the vine.", ("who saw the grapes on the vine", "the fox")),
        ("The fox saw the grapes on the vine.", ("where did the fox see the grapes", "on the vine")),
        ("The fox saw the grapes on the vine.", ("what did the fox see on the vine", "the grapes")),
        ("The queen was very angry with him.", ("how did the queen feel with him", "very angry")),
        ("He jumped high because he was hungry.", ("why did he jump high", "because he was hungry")),
        ("When the sun set, the fox went home.", ("what happened when the sun set", "the fox went home")),
        ("When the sun set, the fox went home.", ("when did the fox go home", "when the sun set")),
        ("When the sun set, the fox went home.", ("what did the fox do when the sun set", "go home")),
        ("Anna slept after the ball was over.", ("what happened after the ball was over", "Anna slept")),
        ("King Arthur was a great ruler.", ("what was King Arthur", "a great ruler")),
        ("The solution is stable at high speed.", ("what is stable at high speed", "the solution")),
        ("The solution is stable at high speed.", ("how is the solution stable at high speed", "stable at high speed")),
    ],
)
def test_rules_ask(sentence: str, expected: tuple[str, str | None]) -> None:
    asked = dict(questions_about(sentence))
    if expected[1] is None:
        assert expected[0] not in asked
    else:
        assert asked[expected[0]] == expected[1]


def test_a_capital_makes_a_name_only_where_the_word_is_never_written_small() -> None:
    assert "who was seen in all samples" in dict(questions_about("Apoptosis was seen in all samples."))
    assert "what was seen in all samples" in dict(questions_about("Apoptosis was seen in all samples.", {"apoptosis"}))


@pytest.mark.parametrize(
    "sentence", ["Despite it all, we went.", "Is he here?", "Run!", "", "What was it", "Stay well informed here."]
)
def test_rules_know_what_they_do_not_understand(sentence: str) -> None:
    assert list(questions_about(sentence)) == []


def test_rule_questions_and_topics_are_for_english_prose(library: list[Document]) -> None:
    for name in ("questions", "topics"):
        made = make(name, library)
        assert of(made, "fox")
        assert not of(made, "chinese")
        assert not of(made, "code")


def test_code_queries_come_from_docstring_comment_and_name(library: list[Document]) -> None:
    made = of(make("code", library), "code")
    assert len(made) == 3
    described, commented, named = made
    assert "read the first lines of a csv file" in described.text
    assert described.positive_text is not None
    assert "Read the first" not in described.positive_text
    assert "def read_csv_lines" in described.positive_text
    assert "stop when the limit of lines is reached" in commented.text
    assert "read csv lines" in named.text
    assert named.positive_text is None
    assert {question.positives for question in make("code", library)} == {("code",)}


def test_metadata_is_woven_in_where_the_text_repeats_it_or_where_it_is_asked_for(library: list[Document]) -> None:
    visible = make("templates", library)
    assert {question.positives for question in visible} == {("virus",)}
    assert all("pneumonia" in question.text for question in visible)
    asked = " ".join(
        question.text for question in make("templates", library, metadata_fields=("year", "authors", "country"))
    )
    assert "Nobody" in asked
    assert "2019" in asked
    assert "Denmark" in asked
    dated = [Document("d", "Tea and cake", {"date": "2021-05-03T10:00"}), Document("e", "Tea", {"date": {"y": 1}})]
    assert {question.text.split()[-1] for question in make("templates", dated, metadata_fields=("date",))} == {"2021"}


def test_rewrites_serve_short_documents(library: list[Document]) -> None:
    made = of(make("rewrites", library), "short")
    assert made
    original = set(normal_form(library[3].text).split())
    assert all(normal_form(question.text) != normal_form(library[3].text) for question in made)
    assert any(set(normal_form(question.text).split()) != original for question in made)


def test_noise() -> None:
    source = random.Random(0)
    for _ in range(200):
        slipped = typo("the quick fox", source)
        assert slipped != "the quick fox" or slipped.startswith("the ")
        assert slipped.startswith("the ")
        assert slipped.endswith(" fox")
        assert abs(len(slipped) - len("the quick fox")) <= 1
    assert typo("a b c", source) == "a b c"
    assert set(NEIGHBOURS["g"]) == set("fhbvty")
    assert synonyms("a big city", source) in {f"a {size} town" for size in SYNONYMS["big"]} | {
        f"a {size} city" for size in SYNONYMS["big"]
    } | {"a big town"}
    assert synonyms("xyz", source) == "xyz"
    assert keywords("What is the speed of a cat?", source) == "speed cat"
    assert reorder("One is here. Two is there.", source) == "Two is there. One is here."
    assert reorder("one, two", source) == "two, one"
    assert reorder("one two three four", source) == "three four one two"
    assert rewrite("", source) == ""
    for change in REWRITES.values():
        assert change("", source) == ""


def test_synonyms_go_both_ways() -> None:
    assert len(SYNONYMS) > 400
    for word, others in SYNONYMS.items():
        assert word not in others
        assert all(word in SYNONYMS[other] for other in others)
