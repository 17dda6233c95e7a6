"""Questions on everyday matters, in the language of the corpus."""

from __future__ import annotations

import pytest

from hybridret.data.off_topic import (
    CHINESE,
    ENGLISH,
    FRENCH,
    GERMAN,
    SPANISH,
    detect_language,
    off_topic_questions,
)

DOCUMENTS = {
    "english": "Press reset for five seconds to restart the pump. The filter is changed by the crew on Mondays.",
    "german": "Der Urlaub wird im Portal beantragt und von der Leitung genehmigt. Die Kantine ist bis zwei Uhr offen.",
    "french": "Les congés sont demandés dans le portail et la cantine est ouverte pour les visiteurs du lundi.",
    "spanish": "Las vacaciones se piden en el portal y los visitantes no pagan por el aparcamiento de la empresa.",
    "chinese": "休假在门户网站上申请，由领导批准。食堂十二点开门。",
}


@pytest.mark.parametrize(("language", "text"), DOCUMENTS.items())
def test_the_language_of_a_corpus_is_told_by_its_function_words(language: str, text: str) -> None:
    assert detect_language([text]) == language


@pytest.mark.parametrize("texts", [[], [""], ["x1 = y2 + z3"], ["Отпуск оформляется на портале."], ["পাম্প পরিষ্কার"]])
def test_other_languages_are_unknown_and_have_the_english_questions(texts: list[str]) -> None:
    assert detect_language(texts) is None
    assert off_topic_questions(None) == ENGLISH


@pytest.mark.parametrize("questions", [ENGLISH, GERMAN, FRENCH, SPANISH, CHINESE])
def test_no_question_stands_twice_and_there_are_enough_for_a_twentieth(questions: tuple[str, ...]) -> None:
    assert len(set(questions)) == len(questions)
    assert int(0.05 * (len(questions) + 1)) >= 1
    assert questions in [off_topic_questions(name) for name in DOCUMENTS]
