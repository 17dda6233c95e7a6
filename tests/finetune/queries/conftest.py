"""A small collection with titles, stories, abstracts, programs and metadata."""

from __future__ import annotations

import pytest

from hybridret.types import Document

FOX = (
    "The fox saw the grapes on the vine. He jumped as high as he could because he was hungry. "
    "When the sun set, the fox went home to his den. Dr. Smith, i.e. the owner, laughed at him from the old window."
)
VIRUS = (
    "Influenza vaccination in elderly patients. "
    "BACKGROUND Influenza causes severe pneumonia in elderly patients. "
    "We studied 4.5 million vaccinated adults in Denmark. "
    "Our results show that yearly vaccination reduces hospital admissions for pneumonia. "
    "Mortality was lower after the second season. "
    "Side effects were rare and mild in all groups that were examined here."
)
CODE = (
    "def read_csv_lines(path, limit=None):\n"
    '    """Read the first lines of a CSV file.\n\n    :param path: where it is\n    """\n'
    "    # stop when the limit of lines is reached\n"
    "    with open(path) as file:\n        return list(file)[:limit]\n"
)
SHORT = "Convert euros to dollars quickly."
CHINESE = (
    "战国无双是一款动作游戏。该游戏由光荣公司在二零零四年开发并发行。玩家可以选择许多武将。故事发生在日本的战国时代。"
)


@pytest.fixture
def library() -> list[Document]:
    """One document of each sort, and enough plain ones to tell rare words from common ones."""
    documents = [
        Document("fox", f"The fox and the grapes {FOX}", {"title": "The fox and the grapes"}),
        Document(
            "virus",
            VIRUS,
            {
                "title": "Influenza vaccination in elderly patients.",
                "year": 2019,
                "country": "Denmark",
                "authors": ["Nobody"],
                "category": "pneumonia",
            },
        ),
        Document("code", CODE, {}),
        Document("short", SHORT, {}),
        Document("chinese", CHINESE, {}),
    ]
    animals = ["cow", "hen", "goat", "horse", "duck", "sheep", "goose", "mouse"]
    for number, animal in enumerate(animals):
        friend = animals[number - 1]
        text = (
            f"The {animal} lived on the farm with the {friend}. She ate {number + 2} apples in the yard every morning. "
            f"After the rain stopped, the {animal} slept under the roof of the barn beside the river."
        )
        documents.append(Document(animal, text, {}))
    return documents
