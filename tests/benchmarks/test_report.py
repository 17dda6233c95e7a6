"""The report: what it says, that it needs no network, and in a browser what a reader can do with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.collection import Collection
from benchmarks.quality import quality, write_questions
from benchmarks.report import svg, write_report
from benchmarks.report.sections import WORSE, Table
from benchmarks.report.standalone import write_plots
from benchmarks.report.write import explorable, markdown_table
from benchmarks.systems import own_systems, run
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.hybrid import HybridIndex

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LATENCY = {"p50": 2.0, "p95": 3.0, "p99": 4.0}
COST = {
    "threads": 1,
    "questions": 3,
    "latency_ms": dict.fromkeys(("bm25", "dense", "docid", "hybrid", "rrf"), LATENCY),
    "questions_a_second": dict.fromkeys(("bm25", "dense", "docid", "hybrid", "rrf"), 1000.0),
    "repeated": {"ratio": "hybrid / dense", "first": 1.1, "second": 1.2, "difference": 0.09},
    "parts_ms": {"encode": 5.0, "search dense": 1.0, "fuse": 0.5},
    "floors_ms": {"encoder forward": 4.0, "flat search": 0.1},
    "memory_bytes": {"hybrid": {"imports": 1, "opened": 2, "answered": 3_000_000}},
    "disk_bytes_a_document": {"vectors": 128.0},
}


@pytest.fixture
def result(collection: Collection, embeddings: Any, tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """A small result, and the file by question that belongs to it."""
    index = HybridIndex.build(collection.documents, EmbeddingsEncoder(embeddings), Config(docid_levels=3))
    runs = {name: run(search, collection.dataset.queries) for name, search in own_systems(index).items()}
    write_questions(tmp_path / "zoo.jsonl", runs, collection)
    measured = {"build": {"not run": "<none>"}, "quality": quality(runs, collection), "cost": COST}
    return {
        "benchmark": "quick",
        "command": "python -m benchmarks quick --data '<zoo>'",
        "commit": "abc",
        "machine": {"cores": 2},
        "versions": {"python": "3"},
        "seconds": 1.0,
        "collections": {"zoo": measured},
    }, tmp_path / "zoo.jsonl"


@pytest.fixture
def report(result: tuple[dict[str, Any], Path], collection: Collection, tmp_path: Path) -> Path:
    write_report(tmp_path / "report", result[0], [collection], {"zoo": result[1]})
    return tmp_path / "report"


def test_the_page_asks_for_nothing_outside_itself(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=(?!\"data:)|https?:|@import|url\(", page)
    assert "<!--" not in page.replace("<!doctype", "")
    assert "&lt;zoo&gt;" in page
    assert "<none>" not in page


def test_json_markdown_and_page_say_the_same(report: Path, result: tuple[dict[str, Any], Path]) -> None:
    assert json.loads((report / "report.json").read_text(encoding="utf-8")) == result[0]
    told = (report / "report.md").read_text(encoding="utf-8")
    page = (report / "report.html").read_text(encoding="utf-8")
    for system, own in result[0]["collections"]["zoo"]["quality"]["systems"].items():
        assert f"| {system} | {own['nDCG@10']['mean']:.3f}" in told
        assert f'<th scope="row">{system}</th><td>{own["nDCG@10"]["mean"]:.3f}' in page
    assert "| building the index | not run: <none> |" in told
    assert "| hybrid | 2.00 | 3.00 | 4.00 | 1,000 | 3 |" in told


def test_what_is_significantly_worse_is_marked(
    result: tuple[dict[str, Any], Path], collection: Collection, tmp_path: Path
) -> None:
    found, path = result
    own = found["collections"]["zoo"]["quality"]
    own["systems"]["hybrid"]["nDCG@10"]["mean"] = 2.0
    for each in own["comparisons"]:
        each["significant"] = {each["first"], each["second"]} == {"hybrid", "docid"}
        each["difference"] = 1.0 if each["first"] == "hybrid" else -1.0
    write_report(tmp_path / "marked", found, [collection], {"zoo": path})
    rows = (tmp_path / "marked" / "report.md").read_text(encoding="utf-8").splitlines()
    assert [row.split(" | ")[0] for row in rows if WORSE in row and row.startswith("|")] == ["| docid"]


def test_a_table_s_cells_cannot_break_out() -> None:
    assert markdown_table(Table("t", ["a", "b"], [["x|y", "1"]])) == ["| a | b |", "|---|---:|", "| x\\|y | 1 |"]


def test_the_explorer_holds_first_hits_and_their_texts(
    result: tuple[dict[str, Any], Path], collection: Collection
) -> None:
    data = explorable(collection, result[1])
    assert data["all"] == len(data["questions"]) == 3
    first = data["questions"][0]
    assert first["right"] == ["cat"]
    assert len(first["systems"]["bm25"]["hits"]) == 5
    assert data["texts"]["cat"].startswith("Cat Cats purr")


POINTS = [svg.Point("one & only", 0.5, 0.4, 0.3, 0.6), svg.Point("two", 20.0, 0.41, 10.0, 21.0)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: svg.interval_plot(POINTS, "x", "what 'it' <is>"),
        lambda: svg.scatter(POINTS, "x", "y", "what"),
        lambda: svg.scatter(POINTS[:1], "x", "y", "what"),
        lambda: svg.stacked_bars([("row", [("a", 1.0), ("b", 0.0)]), ("other", [("a", 2.0)])], "ms", "what"),
        lambda: svg.lines([("up", [(0, 1.0), (5, 2.0)]), ("flat", [(0, 1.0), (5, 1.0)])], "x", "y", "what"),
        lambda: svg.lines([("below", [(0, -1.0), (5, -0.5)])], "x", "y", "what"),
        lambda: svg.interval_plot([svg.Point("nothing", 0.0)], "x", "what"),
    ],
)
def test_plots_are_sound_have_a_description_and_stay_inside(draw: Callable[[], str]) -> None:
    root = ElementTree.fromstring(draw())
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].startswith("what")
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for mark in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(mark.attrib.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(mark.attrib.get(name, 0)) <= height


def test_plots_lie_below_each_other_in_a_file_of_their_own(tmp_path: Path) -> None:
    drawn = svg.lines([("up", [(0, 1.0), (5, 2.0)])], "x", "y", "what")
    write_plots([drawn, drawn], tmp_path / "plots.svg")
    root = ElementTree.fromstring((tmp_path / "plots.svg").read_text(encoding="utf-8"))
    panels = [child for child in root if child.tag.endswith("svg")]
    heights = [float(panel.attrib["height"]) for panel in panels]
    assert [float(panel.attrib["y"]) for panel in panels] == [0.0, heights[0] + 12]
    assert float(root.attrib["viewBox"].split()[3]) >= float(panels[1].attrib["y"]) + heights[1]


def test_a_plot_s_marks_lie_where_their_values_are() -> None:
    root = ElementTree.fromstring(svg.interval_plot(POINTS, "x", "what"))
    marks = {str(mark[0].text).partition(":")[0]: float(mark.attrib["cx"]) for mark in root.iter("circle")}
    reach = svg.WIDTH - svg.RIGHT - svg.LEFT
    assert marks["one & only"] == pytest.approx(svg.LEFT + reach * 0.5 / 21, abs=0.06)
    assert marks["two"] == pytest.approx(svg.LEFT + reach * 20 / 21, abs=0.06)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to read the script")
def test_the_script_can_be_read() -> None:
    script = Path(svg.__file__).with_name("page.js")
    subprocess.run(["node", "--check", str(script)], check=True, capture_output=True)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Chromium without a window: ``$CHROMIUM``, else one on the path."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium; $CHROMIUM may name one")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_works_in_a_browser(browser: Any, report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    told: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((report / "report.html").as_uri())
    assert page.locator("h1").inner_text().startswith("hybridret")
    assert page.locator("svg").count() == 3
    for box in [mark.bounding_box() for mark in page.locator("svg").all()]:
        assert box["width"] > 200
        assert box["x"] + box["width"] <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    assert page.locator("#questions button").count() == 3
    page.fill("#filter", "HONEY")
    assert page.locator("#questions button").all_inner_texts() == ["who makes honey"]
    page.click("#questions button")
    assert page.locator("#questions button").get_attribute("aria-pressed") == "true"
    answer = page.locator("#answer")
    assert answer.locator("h3").inner_text() == "who makes honey"
    assert answer.locator("h4").count() >= 5
    assert answer.locator("ol").first.locator("li").count() == 5
    assert answer.locator(".right").first.inner_text() == "✓ right: bee"
    page.fill("#filter", "")
    page.select_option("#outcome", "bm25 finds nothing")
    assert page.locator("#count").inner_text().startswith("0 of 3")
    assert not told
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
