"""Queries that ask for several things are split; those that ask for one never are."""

from __future__ import annotations

import pytest

from hybridret.splitting import MOST_PARTS, split_query

SEVERAL = {
    "How do I reset the pump? What does the filter weigh?": ["How do I reset the pump?", "What does the filter weigh?"],
    "What is BM25? And what is residual quantisation?": ["What is BM25?", "what is residual quantisation?"],
    "I bought a P200. How do I descale the boiler? Also, where are spare gaskets sold?": [
        "I bought a P200. How do I descale the boiler?",
        "where are spare gaskets sold?",
    ],
    "When does the library open? Is the car park free?": ["When does the library open?", "Is the car park free?"],
    "How do I reset the pump and how often must the filter be changed?": [
        "How do I reset the pump",
        "how often must the filter be changed?",
    ],
    "what is inflation and how are interest rates set": ["what is inflation", "how are interest rates set"],
    "Book a flight to Paris and also find a hotel in Rome": ["Book a flight to Paris", "find a hotel in Rome"],
    "refund policy; shipping costs to Norway; warranty for batteries": [
        "refund policy",
        "shipping costs to Norway",
        "warranty for batteries",
    ],
    "where can I vote; how do I renew my passport": ["where can I vote", "how do I renew my passport"],
    "1. How do I reset the pump? 2. What does the filter weigh?": [
        "How do I reset the pump?",
        "What does the filter weigh?",
    ],
    "Tell me about: 1) descaling the boiler 2) filter weight": [
        "Tell me about descaling the boiler",
        "Tell me about filter weight",
    ],
    "- how to boil eggs\n- what is a meringue": ["how to boil eggs", "what is a meringue"],
    "a) who wrote Dracula b) where is Whitby": ["who wrote Dracula", "where is Whitby"],
    "水泵怎么重启？过滤器有多重？": ["水泵怎么重启？", "过滤器有多重？"],
    'What does "broken pipe?" mean? How do I resize a partition?': [
        'What does "broken pipe?" mean?',
        "How do I resize a partition?",
    ],
}

ONE = [
    "How do I reset the pump?",
    "How do I reset the pump? How heavy is it?",
    "What is a mutex and how does it work?",
    "How do I convert a string to int? Should I use int()?",
    "How to kill a process? How do I kill a process on Linux?",
    "Can you help me? How do I log in?",
    "Hello? Is anyone there? My printer is offline.",
    "What is the difference between a list and a tuple?",
    "What is the difference between how lists and how tuples store data?",
    "Compare how fast trains are and how fast planes are",
    "Which animals swim and also fly?",
    "films that are funny and also scary",
    "Tell me when to plant and when to harvest tomatoes",
    "how to install and how to configure nginx",
    "how and why do cats purr",
    "Where and when was Ada Lovelace born?",
    "My pump is broken; how do I fix it?",
    "The server returns 500; how do I debug nginx?",
    "what does for (i = 0; i < n; i++) do in C",
    "int x = 5; int y = 6; why does x + y overflow",
    "Which is right: 1) int 2) float",
    "Put in order: 1) boil the egg 2) peel the egg",
    "What changed between version 1. 0 and version 2. 0?",
    'What does the error "Who are you? What do you want?" mean in Zork?',
    "Who said 'what is truth and what is beauty'?",
    "I forgot my password and how can I log in",
    "Do you know what is wrong and how can I fix my printer?",
    "A man who was king and who was exiled",
    "bread and butter pudding recipe",
    "How does vitamin D affect bones and muscles?",
    "Who wrote the music and also the lyrics of Cats?",
    "Why is the sky blue? Why does that happen?",
    "Is it safe to eat raw salmon, and also tuna?",
    "What does a? b : c mean in JavaScript?",
    "https://example.org/search?q=pump what does this page say",
    "What are the symptoms of flu? What about in children?",
    "How do I sort a dictionary by value? Is there a built-in function?",
    "How does electricity flow through a circuit? Show me a diagram.",
    "Smith J; Doe A; Miller B",
    "Drugs that lower cholesterol increase lifespan and reduce stroke.",
    "Explain photosynthesis; thanks",
    "red; blue; green",
    "Really? Why?",
    "What should I cook for eight guests? Any ideas?",
    "Wie reinige ich die Pumpe? Wie schwer ist sie?",
    "水泵怎么重启？它有多重？",
    "",
    "  ?  ",
    ";;;",
    'what is an unclosed " quote? what is a closed one?',
]


@pytest.mark.parametrize("query", SEVERAL)
def test_a_query_for_several_things_is_split(query: str) -> None:
    assert split_query(query) == SEVERAL[query]


@pytest.mark.parametrize("query", ONE)
def test_a_query_for_one_thing_stays_as_it_is(query: str) -> None:
    assert split_query(query) == [query]


def test_a_text_of_very_many_questions_is_no_query_to_split() -> None:
    topics = ["anvils", "bridges", "candles", "dynamos", "engines", "furnaces", "gaskets", "hinges", "ingots"]
    queries = [f"How are {topic} made?" for topic in topics]
    assert split_query(" ".join(queries[:MOST_PARTS])) == queries[:MOST_PARTS]
    assert split_query(" ".join(queries)) == [" ".join(queries)]


@pytest.mark.parametrize("piece", ["(", "[", "“", "'", "1. ", "and ", "? ", "; ", "- ", '"'])
def test_long_and_odd_queries_take_no_long_time(piece: str) -> None:
    query = piece * 20_000
    assert len(split_query(query)) == 1
