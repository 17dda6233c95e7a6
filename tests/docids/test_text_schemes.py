"""Docids that are texts: keyphrases, titles, URLs and category paths."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hybridret.docids import FILL, KeywordIds, PathIds
from hybridret.errors import InputError
from hybridret.types import Document

NO_VECTORS = np.zeros((0, 1), dtype=np.float32)
Documents = Callable[..., list[Document]]

TEXTS = (
    "a cat and the dog are in the house of the man",
    "the red panda, a red panda of the forest, is in the tree",
    "a dog is in the tree and the cat is in a forest of the land",
)


def test_keyphrases_are_the_rare_words_that_come_often(tokenizer: Any, make_documents: Documents) -> None:
    scheme = KeywordIds.fit(make_documents(*TEXTS), tokenizer)
    assert scheme.phrases(TEXTS[1])[0] == "red panda"
    assert all("the" not in phrase.split() for text in TEXTS for phrase in scheme.phrases(text))
    assert len(scheme.phrases(" ".join(TEXTS))) == 4


def test_punctuation_ends_a_phrase_and_three_words_are_the_most(tokenizer: Any, make_documents: Documents) -> None:
    scheme = KeywordIds.fit(make_documents("one"), tokenizer)
    assert scheme.phrases("alpha beta, gamma delta epsilon zeta") == ["gamma delta epsilon", "alpha beta", "zeta"]


def test_chinese_has_phrases_without_blanks(tokenizer: Any, make_documents: Documents) -> None:
    texts = ("猫在家里睡觉", "狗在家里叫", "鸟在天上飞")
    phrases = KeywordIds.fit(make_documents(*texts), tokenizer).phrases(texts[0])
    assert phrases
    assert all(phrase in texts[0] and len(phrase) <= 3 for phrase in phrases)


def test_keyword_docids_are_the_phrases_and_an_end(tokenizer: Any, make_documents: Documents) -> None:
    documents = make_documents(*TEXTS)
    scheme = KeywordIds.fit(documents, tokenizer)
    docids = scheme.encode(NO_VECTORS, documents)
    for docid, text in zip(docids, TEXTS, strict=True):
        assert tokenizer.decoded(docid) == ", ".join(scheme.phrases(text))
        own = docid[docid != FILL]
        assert own[-1] == tokenizer.eos_token_id
        assert tokenizer.eos_token_id not in own[:-1]


def test_a_language_model_names_the_phrases_where_it_can(tokenizer: Any, make_documents: Documents) -> None:
    asked = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "" if "house" in prompt else "- Red Panda, forest;\nforest , Tree, one, two"

    class Chat:
        def invoke(self, prompt: str) -> SimpleNamespace:
            return SimpleNamespace(content=answer(prompt))

    documents = make_documents(*TEXTS)
    plain = KeywordIds.fit(documents, tokenizer)
    for llm in (answer, Chat()):
        scheme = KeywordIds.fit(documents, tokenizer, llm)
        assert scheme.phrases(TEXTS[1]) == ["red panda", "forest", "tree", "one"]
        assert scheme.phrases(TEXTS[0]) == plain.phrases(TEXTS[0])
    assert all(any(text in prompt for text in TEXTS) for prompt in asked)
    n_asked = len(asked)
    assert scheme.phrases("  ") == []
    assert len(asked) == n_asked


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (("title",), "Red panda"),
        (("title", "year"), "Red panda > 2020"),
        (("tags",), "animals > bears"),
        (("url",), "zoo.org > animals > panda"),
        (("absent", "tags"), "animals > bears"),
        (("nested",), "first words of the text are taken if"),
        (("absent",), "first words of the text are taken if"),
    ],
)
def test_a_path_is_the_fields_from_first_to_last(tokenizer: Any, fields: tuple[str, ...], path: str) -> None:
    metadata = {
        "title": " Red  panda",
        "year": 2020,
        "tags": ["animals", "bears"],
        "url": "https://zoo.org/animals/panda",
        "nested": {"a": 1},
    }
    document = Document("a", "first words of the text are taken if there is no field", metadata)
    scheme = PathIds(tokenizer, fields)
    assert scheme.text(document) == path
    (docid,) = scheme.encode(NO_VECTORS, [document])
    assert tokenizer.decoded(docid) == path
    assert docid[-1] == tokenizer.eos_token_id


def test_long_docids_are_cut_and_still_end(tokenizer: Any, make_documents: Documents) -> None:
    (docid,) = PathIds(tokenizer, max_tokens=4).encode(NO_VECTORS, make_documents("one two three four five"))
    assert tokenizer.decoded(docid) == "one two three"
    assert len(docid) == 4


def test_empty_documents_have_the_end_alone(tokenizer: Any, make_documents: Documents) -> None:
    documents = make_documents("", "  ")
    for scheme in (KeywordIds.fit(documents, tokenizer), PathIds(tokenizer)):
        assert scheme.encode(NO_VECTORS, documents).tolist() == [[0], [0]]
        assert scheme.encode(NO_VECTORS, []).shape == (0, 1)


def test_no_field_anywhere_is_refused(tokenizer: Any, make_documents: Documents) -> None:
    documents = make_documents("one", "two", metadata=[{"title": ""}, {"name": "two"}])
    with pytest.raises(InputError, match="no document has a metadata field 'title' or 'url'"):
        PathIds.fit(documents, tokenizer, ("title", "url"))


def test_a_tokenizer_without_an_end_is_refused(endless_tokenizer: Any, make_documents: Documents) -> None:
    documents = make_documents("one")
    with pytest.raises(InputError, match="eos_token"):
        KeywordIds.fit(documents, endless_tokenizer).encode(NO_VECTORS, documents)
