"""Spellings of one word share a term, other words do not: case, plurals, accents, marks, hyphens, unseen letters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.bm25 import Tokenizer
from hybridret.bm25.tokenizer import STOP_WORDS

ENGLISH, PLAIN = Tokenizer("english"), Tokenizer("none")
UNRELATED = frozenset(
    [
        "new-news",
        "http-https",
        "ye-yes",
        "ha-has",
        "hi-his",
        "genu-genus",
        "bi-bis",
        "cm-cms",
        "dn-dns",
        "au-aus",
        "di-dis",
        "vi-vis",
        "thu-thus",
        "ga-gas",
        "doe-does",
        "trie-tries",
        "underlie-underlies",
        "p53-p53s",
        "256-256s",
        "10m-10ms",
        "3f-3fs",
        "c2-c2s",
        "lo-los",
        "la-las",
    ]
)
"""Pairs of words of the collections that differ in an s and are not one word, or whose s stands for seconds; and two
that Snowball takes for words in y, and names of genes in small letters."""


def meet(first: str, second: str, tokenizer: Tokenizer = ENGLISH) -> bool:
    """Whether a query for one finds a document of the other, and the other way round."""
    found = set(tokenizer(first)) & set(tokenizer.document_terms(second))
    return bool(found and set(tokenizer(second)) & set(tokenizer.document_terms(first)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("NumPy", "numpy"),
        ("YouTube", "youtube"),
        ("iPhone", "iphones"),
        ("DataFrames", "dataframe"),
        ("LLMs", "LLM"),
        ("LLMs", "llms"),
        ("llms", "LLM"),
        ("GPUs", "gpu"),
        ("gpus", "GPU"),
        ("APIs", "api"),
        ("URLs", "url"),
        ("IDs", "ID"),
        ("RNAs", "rna"),
        ("tRNAs", "tRNA"),
        ("rnas", "RNA"),
        ("parseURLs", "url"),
        ("pd.DataFrames", "dataframe"),
        ("import.NumPy", "numpy"),
        ("McDonald's", "mcdonald"),
        ("skis", "ski"),
        ("menus", "menu"),
        ("bureaus", "bureau"),
        ("1990s", "1990"),
        ("T6SSs", "T6SS"),
        ("café", "cafe"),
        ("cafe\u0301s", "CAFE"),
        ("naïve", "naive"),
        ("Straße", "strasse"),
        ("STRASSE", "straße"),
        ("Ångström", "angstrom"),
        ("smørrebrød", "smorrebrod"),
        ("e-mail", "email"),
        ("e‑mail", "email"),
        ("non-linear", "nonlinear"),
        ("x-rays", "xray"),
        ("U.S.", "US-based"),
        ("c++17", "C++"),
        ("C#12", "c#"),
        ("ASP.NET", "asp.net"),
        (".NET", ".net"),
        ("İstanbul", "istanbul"),
    ],
)
def test_spellings_of_one_word_meet(first: str, second: str) -> None:
    assert meet(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("C", "C++"),
        ("C", "C#"),
        ("C#", "C++"),
        ("C/C#", "C++"),
        ("Visual-C++", "C"),
        ("F#", "F"),
        ("gas", "ga"),
        ("GPS", "GP"),
        ("दिन", "दान"),
        ("कमल", "काम"),
        ("மொழி", "மழை"),
        ("שָׁלוֹם", "עוֹלָם"),
    ],
)
def test_different_words_do_not_meet(first: str, second: str) -> None:
    assert not meet(first, second)
    assert not meet(first, second, PLAIN)


def test_closed_word_finds_the_hyphenated_one_and_parts_still_do() -> None:
    document = ENGLISH.document_terms("pre-training of a page-boy by multi-agent e-mail")
    for query in ("pretraining", "pageboy", "multiagent", "email", "training", "page", "boy"):
        assert set(ENGLISH(query)) & set(document), query
    assert ENGLISH("page-boy") == ["page", "boy"]


def test_word_hyphenated_at_the_end_of_a_line_is_found() -> None:
    for line_end in ("\n", "\r\n"):
        assert "mainten" in ENGLISH.document_terms(f"regular main-{line_end}tenance of pumps")


@pytest.mark.parametrize("unseen", ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\ufe0f", "\u200e"])
def test_unseen_characters_do_not_cut_words(unseen: str) -> None:
    for tokenizer in (ENGLISH, PLAIN):
        assert tokenizer(f"main{unseen}tenance") == tokenizer("maintenance")
        assert tokenizer(f"os{unseen}.path C{unseen}++") == tokenizer("os.path C++")


def test_space_without_width_tells_words_apart_where_no_others_do() -> None:
    assert PLAIN("ภาษา\u200bไทย") == PLAIN("ภาษา ไทย") != PLAIN("ภาษาไทย")
    assert PLAIN("ខ្មែរ\u200bភាសា") == PLAIN("ខ្មែរ ភាសា")


@pytest.mark.parametrize(
    ("language", "word"),
    [
        ("hindi", "किताबें"),
        ("hindi", "हिन्दी"),
        ("nepali", "भाषा"),
        ("tamil", "மொழி"),
        ("none", "বাংলা"),
        ("none", "తెలుగు"),
        ("arabic", "العَرَبِيَّة"),
        ("none", "עוֹלָם"),
    ],
)
def test_words_with_marks_are_one_term(language: str, word: str) -> None:
    assert len(Tokenizer(language)(word)) == 1


def test_vowel_signs_that_texts_leave_out_do_not_tell_words_apart() -> None:
    assert PLAIN("عَرَبِيّ") == PLAIN("عربي")
    assert PLAIN("שָׁלוֹם") == PLAIN("שלום")
    assert PLAIN("०९ ٣٤") == PLAIN("09 34")


def test_persian_words_meet_with_and_without_a_joiner() -> None:
    persian = Tokenizer("persian")
    assert set(persian("کتاب\u200cها")) & set(persian("کتابها"))
    assert set(persian("می\u200cخواهم")) & set(persian("میخواهم"))


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ภาษาไทย", ["ภาษา", "ษาไท", "ไทย"]),
        ("ພາສາລາວ", ["ພາສາ", "ສາລາ", "ລາວ"]),
        ("ខ្មែរ", ["ខ្មែរ"]),
        ("မြန်မာ", ["မြန်", "န်မာ"]),
    ],
)
def test_south_east_asian_text_gives_pairs_of_characters_with_their_marks(text: str, pairs: list[str]) -> None:
    assert PLAIN(text) == pairs


@pytest.mark.parametrize(
    ("query", "text"),
    [("水", "修理水泵"), ("泵", "修理水泵"), ("물", "물을 마신다"), ("か", "さかな"), ("ยา", "ร้านขายยา")],
)
def test_lone_character_finds_the_documents_that_hold_it(query: str, text: str) -> None:
    assert set(ENGLISH(query)) & set(ENGLISH.document_terms(text))


def test_document_gives_what_a_query_gives_and_more() -> None:
    for text in ("使用Python读取CSV files", "ร้านขายยา e-mail multi-agent", "the US and os.path"):
        query, document = ENGLISH(text), ENGLISH.document_terms(text)
        assert all(document.count(term) >= query.count(term) for term in query)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("the FBI and WHO said", ["fbi", "who", "said"]),
        ("IT support", ["it", "support"]),
        ("an IT-based company", ["it", "base", "compani"]),
        ("THE FBI AND WHO SAID", ["fbi", "said"]),
        ("who is it for", []),
        ("DO NOT use it", ["use"]),
        ("WHO\nIT\nthe end", ["who", "it", "end"]),
        ("IT", ["it"]),
        ("WHO 2020", ["who", "2020"]),
        ("IT & HR", ["it", "hr"]),
        ("HOW DO I", []),
    ],
)
def test_acronyms_are_no_stop_words_among_small_letters(text: str, terms: list[str]) -> None:
    assert ENGLISH(text) == terms


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("french", "élèves", "eleves"),
        ("german", "Müller", "Mueller"),
        ("spanish", "canción", "cancion"),
        ("dutch", "één", "een"),
        ("turkish", "İSTANBUL", "istanbul"),
        ("turkish", "ILIK", "ılık"),
    ],
)
def test_accents_are_dropped_as_the_language_does(language: str, first: str, second: str) -> None:
    assert meet(first, second, Tokenizer(language))


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [("spanish", "año", "ano"), ("swedish", "för", "for"), ("none", "má", "ma"), ("turkish", "kaş", "kas")],
)
def test_letters_of_their_own_keep_their_marks(language: str, first: str, second: str) -> None:
    assert not meet(first, second, Tokenizer(language))


WORD = re.compile(r"[^\W_]+(?:[.'’_-][^\W_]+)*")


def test_words_of_real_collections_meet_in_any_case_and_number(data_folder: Path) -> None:
    """Every word in lower case, and every word whose plural is a word of a collection as well."""
    vocabulary: set[str] = set()
    for file in sorted(data_folder.glob("*/corpus.jsonl")) + sorted(data_folder.glob("*/queries.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            vocabulary.update(WORD.findall(f"{record.get('title') or ''} {record['text']}"))
    assert len(vocabulary) > 100_000
    strangers = [
        word
        for word in vocabulary
        if word != word.lower() and ENGLISH(word) and not set(ENGLISH(word)) & set(ENGLISH(word.lower()))
    ]
    assert [word for word in strangers if word.lower() not in STOP_WORDS] == []
    plurals = [
        word for word in vocabulary if len(word) > 1 and not word.endswith(("s", "S")) and f"{word}s" in vocabulary
    ]
    assert len(plurals) > 5_000
    strangers = [
        f"{word}-{word}s".lower()
        for word in plurals
        if not {word.lower(), f"{word}s".lower()} & STOP_WORDS and not set(ENGLISH(word)) & set(ENGLISH(f"{word}s"))
    ]
    assert set(strangers) <= UNRELATED


@settings(deadline=None, max_examples=300)
@given(
    st.text(st.sampled_from("aAbBeEsSxX12üÜéß"), min_size=1, max_size=8), st.sampled_from(["english", "none", "german"])
)
def test_any_word_meets_itself_in_lower_case(word: str, language: str) -> None:
    tokenizer = Tokenizer(language)
    assert word.lower() in STOP_WORDS or set(tokenizer(word)) & set(tokenizer(word.lower()))
