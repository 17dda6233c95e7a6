"""The cleaning stage: what is dropped, what becomes of labels, and what the report says."""

from __future__ import annotations

import json
import random

import pytest

from finetune.cleaning import CleanConfig, clean
from finetune.cleaning.chunks import split_corpus
from finetune.types import Question
from hybridret.data.chunk import chunk_documents
from hybridret.errors import InputError
from hybridret.types import Document

ANIMALS = {
    "cat": "Cats purr when they are happy and sleep all day long in the warm sun",
    "dog": "Dogs bark at the postman and guard the house of the farmer at night",
    "bee": "Bees fly from flower to flower and make honey for the long winter",
}


def documents(texts: dict[str, str]) -> list[Document]:
    return [Document(name, text, {}) for name, text in texts.items()]


def reasons(cleaned_report: object) -> set[str]:
    return set(cleaned_report.counts())  # type: ignore[attr-defined]


def test_sound_documents_and_labels_come_back_as_they_are() -> None:
    questions = [Question("q1", "who purrs", ("cat",), ("dog",)), Question("q2", "who barks", ("dog",))]
    cleaned = clean(documents(ANIMALS), questions)
    assert cleaned.documents == documents(ANIMALS)
    assert cleaned.questions == questions
    assert cleaned.report.drops == ()


def test_labels_follow_documents_that_are_left_out_as_copies() -> None:
    texts = ANIMALS | {"cat2": ANIMALS["cat"].replace(" ", "\n "), "dog2": ANIMALS["dog"] + " and day", "dog3": ""}
    questions = [
        Question("q1", "who purrs", ("cat2", "cat"), ("dog2",)),
        Question("q2", "who barks", ("dog2",), ("dog", "bee")),
    ]
    cleaned = clean(documents(texts), questions, CleanConfig(near_duplicates=0.8))
    assert [document.doc_id for document in cleaned.documents] == ["cat", "dog", "bee"]
    assert cleaned.report.copies == {"cat2": "cat", "dog2": "dog"}
    assert cleaned.questions == [
        Question("q1", "who purrs", ("cat",), ("dog",)),
        Question("q2", "who barks", ("dog",), ("bee",)),
    ]
    assert reasons(cleaned.report) == {
        "document: exact copy",
        "document: near copy",
        "document: garbled",
        "label: positive is a copy",
        "label: a positive was also a negative",
    }


def test_a_copy_of_a_copy_leads_to_the_kept_document() -> None:
    near = ANIMALS["dog"] + " and day"
    texts = {"dog": ANIMALS["dog"], "dog2": near, "dog3": near.replace(" ", "  "), "bee": ANIMALS["bee"]}
    cleaned = clean(documents(texts), config=CleanConfig(near_duplicates=0.8))
    assert cleaned.report.copies == {"dog2": "dog", "dog3": "dog"}


def test_labelled_documents_are_never_left_out_as_garbled() -> None:
    texts = ANIMALS | {"code": "#$%&!", "noise": "()()()"}
    cleaned = clean(documents(texts), [Question("q1", "which one is a curse", ("code",))])
    assert [document.doc_id for document in cleaned.documents] == [*ANIMALS, "code"]
    assert cleaned.questions[0].positives == ("code",)


def test_conflicting_and_impossible_labels() -> None:
    questions = [
        Question("q1", "who purrs", ("cat",), ("cat", "dog")),
        Question("q2", "Who purrs?", ("bee",), ("cat",), answer="cats"),
        Question("q3", "who moos", ("cow",), ("dog",)),
        Question("q4", "who barks", ("dog", "cow"), ("wolf",)),
        Question("q5", "  ", ("dog",)),
        Question("q6", "who flies", ()),
        Question("q7", "who purrs", ("dog",), task="other"),
    ]
    cleaned = clean(documents(ANIMALS), questions)
    assert cleaned.questions == [
        Question("q1", "who purrs", ("cat", "bee"), ("dog",), answer="cats"),
        Question("q4", "who barks", ("dog",)),
        Question("q7", "who purrs", ("dog",), task="other"),
    ]
    assert cleaned.report.counts() == {
        "label: document not in the corpus": 3,
        "label: a positive was also a negative": 1,
        "question: no positive in the corpus": 1,
        "question: empty text": 1,
        "question: no positive": 1,
        "question: asked before": 1,
    }


def test_held_out_questions_do_not_train() -> None:
    questions = [Question("q1", "Who purrs ?", ("cat",)), Question("q2", "who barks", ("dog",))]
    held_out = [Question("t1", "who purrs", ("cat",))]
    assert clean(documents(ANIMALS), questions, held_out=held_out).questions == questions[1:]
    leaky = clean(documents(ANIMALS), questions, CleanConfig(leaks=False), held_out=held_out)
    assert leaky.questions == questions


def test_boilerplate_lines_are_cut_from_training_texts() -> None:
    footer = "Copyright by the zoo, all rights reserved."
    texts = {name: f"{text}\n{footer}" for name, text in ANIMALS.items()}
    texts |= {f"other{number}": f"{number} {ANIMALS['cat'][number:]}\n{footer.upper()}" for number in range(4)}
    texts["footer"] = footer
    cleaned = clean(documents(texts), config=CleanConfig(near_duplicates=0))
    assert [document.text for document in cleaned.documents[:3]] == list(ANIMALS.values())
    assert cleaned.documents[-1].text == footer
    assert cleaned.report.counts() == {"document: boilerplate cut": 7}
    short = {name: f"{text}\nend" for name, text in texts.items()}
    assert (
        clean(documents(short), config=CleanConfig(near_duplicates=0, boilerplate=1)).documents[0].text.endswith("end")
    )


def test_long_documents_are_trained_on_as_the_index_holds_them_whole_or_in_chunks() -> None:
    source = random.Random(0)
    sentences = [" ".join(source.sample(list("abcdefghijklmnop"), 9)) + f" {number}." for number in range(300)]
    sentences[150] = "The treasure lies below the oak in Berlin."
    texts = documents({**ANIMALS, "long": "\n".join(sentences)})
    questions = [
        Question("q1", "where is the treasure below the oak", ("long",), ("cat",), grades={"long": 3}),
        Question("q2", "in which city", ("long",), answer="berlin"),
    ]
    assert clean(texts, questions).questions == questions
    assert clean(texts, questions).documents == texts
    split = split_corpus(texts, questions, {"q1": {"long": 2.0, "cat": -1.0}})
    chunks = {document.doc_id: document for document in split.documents if document.doc_id not in ANIMALS}
    assert list(chunks) == [each.doc_id for each in chunk_documents(texts) if each.doc_id not in ANIMALS]
    assert len(chunks) > 5
    for question in split.questions:
        assert "Berlin" in chunks[question.positives[0]].text
    right = split.questions[0].positives[0]
    assert split.questions[0].negatives == ("cat",)
    assert split.questions[0].grades == {right: 3}
    assert split.scores == {"q1": {right: 2.0, "cat": -1.0}}
    assert clean(split.documents, split.questions).questions == split.questions


def test_the_report_is_json_and_text() -> None:
    cleaned = clean(documents(ANIMALS | {"cat2": ANIMALS["cat"]}), [Question("q1", "who moos", ("cow",))])
    report = json.loads(json.dumps(cleaned.report.to_json()))
    assert report["documents"] == {"before": 4, "after": 3}
    assert report["questions"] == {"before": 1, "after": 0}
    assert report["copies"] == {"cat2": "cat"}
    assert {"kind": "document", "item": "cat2", "reason": "exact copy", "detail": "cat"} in report["drops"]
    text = cleaned.report.to_text()
    assert "4 given, 3 training texts" in text
    assert "1 x document: exact copy, such as cat2 (cat)" in text


def test_no_documents() -> None:
    with pytest.raises(InputError, match="there are no documents to train on"):
        clean([])


def test_one_document() -> None:
    with pytest.raises(InputError, match="at least two documents that differ; of 1 only 1 is left"):
        clean(documents({"cat": ANIMALS["cat"]}))


def test_documents_all_alike() -> None:
    with pytest.raises(InputError, match="at least two documents that differ; of 9 only 1 is left"):
        clean(documents({f"cat{number}": ANIMALS["cat"] for number in range(9)}))


def test_no_readable_document() -> None:
    with pytest.raises(InputError, match="none of 2 holds readable text"):
        clean(documents({"a": "", "b": "!!"}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"near_duplicates": 1.5}, "near_duplicates must be a number from 0 to 1"),
        ({"boilerplate": -0.1}, "boilerplate must be a number from 0 to 1"),
        ({"language": "klingon"}, "language must be one of majority, any"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CleanConfig(**settings)  # type: ignore[arg-type]
