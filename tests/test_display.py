"""What a terminal shows: nothing that tells hits apart is cut, and long work is told of where there is no terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hybridret.cli import app
from hybridret.cli_options import part_dashes
from hybridret.display import _progress_lines, best_system, hits_table, matching_passage, tell_facts
from hybridret.types import RETRIEVERS, Detail, Document, Hit

IDS = ["a", "manuals/pumps/very/deep/folder/with-a-long-name/installation-guide.pdf#12", "-682800321088481985"]


def shown(width: int) -> str:
    details = {name: Detail(at, 0.5) for at, name in enumerate(RETRIEVERS, 1)}
    hits = [Hit(doc_id, 0.98765 - at, details) for at, doc_id in enumerate(IDS)]
    documents = [Document(doc_id, "Filler words at the start. " * 9 + "Hold the reset key now.", {}) for doc_id in IDS]
    out = io.StringIO()
    Console(file=out, width=width).print(hits_table("which reset key", hits, documents, width))
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 1000])
def test_rank_score_and_id_are_whole_at_any_width(width: int) -> None:
    lines = shown(width).splitlines()
    assert all(len(line) <= width for line in lines)
    text = "".join("".join(cell.strip() for cell in line.split("│")[3:4]) for line in lines)
    for doc_id in IDS:
        assert doc_id in text
    for figures in ("0.988", "-0.012", "-1.012"):
        assert figures in shown(width)
    assert ("bm25" in lines[2]) == (width >= 100)
    assert ("reset key" in shown(width).partition("score")[2]) == (width >= 80)


@given(st.text(), st.text(), st.integers(20, 90))
def test_a_passage_is_a_part_of_the_text_and_no_longer_than_asked_for(text: str, query: str, width: int) -> None:
    passage = matching_passage(text, query, width)
    assert len(passage) <= width
    assert passage.removeprefix("…") in " ".join(text.split())


def test_the_passage_that_matches_is_shown() -> None:
    text = "The manual begins here. " * 20 + "Hold the reset key for five seconds." + " More follows." * 20
    assert "reset key for five seconds" in matching_passage(text, "how long must the reset key be held", 60)
    assert matching_passage(text, "nothing of it", 30) == "The manual begins here. The ma"
    assert matching_passage("short", "short", 30) == "short"


def test_lines_tell_of_long_work_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 1.0, 5.5, 6.0, 11.0])
    report = _progress_lines(lambda: next(times))
    for done in range(4):
        report("encoding", 1000 * done, 3000)
    assert capsys.readouterr().err.splitlines() == ["encoding: 1,000 of 3,000", "encoding: 3,000 of 3,000"]


def command(name: str) -> Any:
    group: Any = typer.main.get_command(app)
    return group.commands[name]


@pytest.mark.parametrize(
    ("name", "arguments", "query", "options"),
    [
        ("search", ["B", "-5 degrees in the tank", "--json"], "-5 degrees in the tank", {"as_json": True}),
        ("search", ["B", "-k", "3", "-kayak"], "-kayak", {"k": 3}),
        ("search", ["-k5", "B", "--verbose mode of it"], "--verbose mode of it", {"k": 5}),
        ("search", ["B", "--", "--json"], "--json", {"as_json": False}),
        ("search", ["B", "plain", "--filter={}"], "plain", {"filter": "{}"}),
    ],
)
def test_queries_that_begin_with_a_dash_are_queries(
    name: str, arguments: list[str], query: str, options: dict[str, Any]
) -> None:
    found = command(name).make_context(name, part_dashes(command(name), arguments)).params
    assert found["query"] == query
    assert {key: found[key] for key in options} == options


def test_ids_that_begin_with_a_dash_are_ids_and_misspelt_options_are_refused() -> None:
    delete = command("delete")
    parts = part_dashes(delete, ["B", "-682800321088481985", "-", "--5", "plain"])
    assert delete.make_context("delete", parts).params["ids"] == ["-682800321088481985", "-", "--5", "plain"]
    for name, arguments in (("delete", ["B", "x", "--jsn"]), ("search", ["B", "x", "--jsn"])):
        with pytest.raises(Exception, match="No such option: --jsn"):
            command(name).make_context(name, part_dashes(command(name), arguments))


def test_facts_are_told_in_words() -> None:
    facts: dict[str, Any] = {
        "documents": 1234, "path": "b", "model": "m", "dimension": 384, "updates": [],
        "prompts": {"query": "Q: ", "document": ""}, "cut_by_window": {"documents": 3, "tokens": 9},
        "docid": {"trained": False}, "fusion": {"fitted": True, "weights": {"docid": 0.0}, "reason": "All is well."},
    }  # fmt: skip
    told = " ".join(tell_facts(facts))
    for words in (
        "1,234 documents in b",
        "before each query stands 'Q: '",
        "3 documents are longer",
        "docids are untrained",
    ):
        assert words in told
    assert "All is well." in told
    facts["docid"], facts["fusion"]["weights"] = {"trained": True}, {"docid": 0.4}
    assert "Dense, bm25 and trained docids answer together." in " ".join(tell_facts(facts))
    assert best_system({"dense": {"nDCG@10": 0.5}, "hybrid": {"nDCG@10": 0.6}}).startswith(
        "hybrid answers best: nDCG@10 0.6"
    )
