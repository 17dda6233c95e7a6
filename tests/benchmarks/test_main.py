"""The command: what it prints, what it keeps, how it goes on, and what it says to bad input."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import measure
from benchmarks.parts import VERSION, Parts
from benchmarks.summary import best_system, not_told_apart, sentences
from hybridret.errors import InputError

Run = Callable[..., Any]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_model: Path) -> Run:
    """Runs the command in this process, small and without processes for memory; gives the last line's JSON."""
    monkeypatch.setattr("benchmarks.measure.SIZES", (20, 40))
    monkeypatch.setattr("benchmarks.peers.DSI_SECONDS", 0.5)
    monkeypatch.setattr("benchmarks.cost.peak_memory", lambda *_: {"imports": 1, "opened": 2, "answered": 3})

    def run(*arguments: str | Path) -> Any:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments), "--model", str(tiny_model)])
        command.main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def test_quick_measures_the_built_in_corpus_beside_the_data(
    bench: Run, zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "built-in"
    shutil.copytree(zoo, other)
    monkeypatch.setattr(command, "PYTHON_DOCS", str(other))
    found = bench("quick", "--data", zoo)
    assert list(found["collections"]) == ["built-in", "zoo"]
    assert {"benchmark", "command", "commit", "machine", "versions", "seconds", "summary"} <= set(found)
    for each in found["collections"].values():
        assert set(each["quality"]["systems"]) == {"bm25", "dense", "docid", "hybrid", "rrf"}
        assert each["cost"]["latency_ms"]["hybrid"]["p50"] > 0
        assert each["build"]["documents"] == 8


def test_a_killed_run_goes_on_where_it_was(
    bench: Run, zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    def never(*_: Any) -> Any:
        raise AssertionError("this was measured before")

    output = tmp_path / "report"
    with monkeypatch.context() as patch:
        patch.setattr(measure, "cost", killed)
        with pytest.raises(KeyboardInterrupt):
            bench("full", "--data", zoo, "-o", output)
    with monkeypatch.context() as patch:
        patch.setattr(measure, "build", never)
        patch.setattr(measure, "run", never)
        patch.setattr(measure, "quality", never)
        first = bench("full", "--data", zoo, "-o", output)
        patch.setattr(measure, "cost", never)
        again = bench("full", "--data", zoo, "-o", output)
    assert first["collections"] == again["collections"]
    assert {path.name for path in output.glob("report.*")} == {"report.html", "report.json", "report.md"}
    shutil.rmtree(output / "bundles")
    assert bench("full", "--data", zoo, "-o", output)["collections"]["zoo"]["quality"]


def test_other_data_is_measured_anew(bench: Run, zoo: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    first = bench("full", "--data", zoo, "-o", output)
    path = zoo / "corpus.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("purr", "hiss"), encoding="utf-8")
    second = bench("full", "--data", zoo, "-o", output)
    assert first["collections"]["zoo"]["build"] != second["collections"]["zoo"]["build"]


def test_a_bundle_is_measured_where_it_lies(bench: Run, zoo: Path, tmp_path: Path) -> None:
    bench("full", "--data", zoo, "-o", tmp_path / "report")
    bundle = tmp_path / "report" / "bundles" / "zoo"
    found = bench("full", "--data", bundle, "--questions", zoo, "-o", tmp_path / "other")
    assert found["collections"]["zoo"]["build"] == {"not run": "the bundle was there"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "there is no corpus nowhere"),
        (["--data", "ZOO", "--split", "dev"], "has no split dev"),
        (["--data", "ZOO", "ZOO"], "two collections are called 'zoo'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    bench: Run,
    zoo: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        bench("full", *(str(zoo) if each == "ZOO" else each for each in arguments), "-o", tmp_path / "report")
    assert exit_.value.code == 2
    told = capsys.readouterr()
    assert not told.out
    assert message in told.err.splitlines()[-1]


def test_measurements_are_kept_by_what_went_into_them(tmp_path: Path) -> None:
    made: list[int] = []

    def measured() -> dict[str, Any]:
        made.append(1)
        return {"value": len(made)}

    parts = Parts(tmp_path, {"machine": "one"})
    assert [parts.get("a", {"x": 1}, measured)["value"] for _ in range(2)] == [1, 1]
    assert parts.get("a", {"x": 2}, measured) == {"value": 2}
    assert Parts(tmp_path, {"machine": "another"}).get("a", {"x": 2}, measured) == {"value": 3}
    assert parts.get("a", {"x": 2}, measured, is_there=False) == {"value": 4}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_could_not_run_is_tried_again(tmp_path: Path) -> None:
    parts = Parts(tmp_path, {})
    assert parts.get("a", {}, lambda: {"not run": "no such package"}) == {"not run": "no such package"}
    assert parts.get("a", {}, lambda: {"value": 1}) == {"value": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 0, "key": "k", "result": {}}', rf"a.json:1: a measurement of version 0, this is {VERSION}"),
        ("[]", r"a.json:1: a measurement of version None"),
        ('{"version": 1,\n"key', r"a.json:2: not JSON"),
    ],
)
def test_a_file_of_another_version_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Parts(tmp_path, {}).get("a", {}, lambda: {})


def a_measurement(significant: bool) -> dict[str, Any]:
    means = {"bm25": 0.5, "dense": 0.6, "docid": 0.4, "hybrid": 0.7, "rrf": 0.55}
    return {
        "quality": {
            "documents": 1000,
            "questions": 50,
            "systems": {
                name: {"nDCG@10": {"mean": mean}, "Success@10": {"mean": 0.9}}
                for name, mean in {**means, "a peer": 0.9}.items()
            },
            "comparisons": [
                {"first": "hybrid", "second": name, "significant": significant or name != "dense"}
                for name in (*list(means)[:3], "rrf", "a peer")
            ],
        },
        "cost": {"latency_ms": {name: {"p50": mean * 10, "p95": mean * 20} for name, mean in means.items()}},
    }


def test_the_summary_names_the_best_and_says_how_sure_it_is() -> None:
    sure, unsure = a_measurement(True), a_measurement(False)
    assert best_system(sure["quality"]) == "hybrid"
    assert not_told_apart(unsure["quality"], "hybrid") == ["dense"]
    assert any("not chance" in line for line in sentences("zoo", sure))
    told = " ".join(sentences("zoo", unsure))
    assert "too few to say that it is better than dense" in told
    assert "dense is the fastest: 6.0 ms" in told
    assert "0.700 nDCG@10, and 90 % of questions" in told
