"""README's figures are those of the committed results, and what is wrong with either is said in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import readme_figures, readme_tables
from benchmarks.readme import README, blocks, rewritten, write_readme
from benchmarks.results import FOLDER, VERSION, read_result, write_result
from hybridret.errors import InputError


def a_fusion() -> dict[str, Any]:
    """Two collections: a gain that is not chance, and a loss that may be."""
    shared = {"abstention": {"area under the curve": 0.9, "right answers missed": 0.1, "others let through": 0.05}}
    return {
        "left out in turn": {"zoo": {"fitted": 0.02}, "farm": {"fitted": -0.004}},
        "test": {
            "zoo": {
                **{"bm25": 0.5, "dense": 0.4, "LangChain ensemble": 0.55, "hybrid": 0.6, "gain": 0.6 - 0.5, "p": 0.02},
                **shared,
            },
            "farm": {
                **{"bm25": 0.2, "dense": 0.8, "LangChain ensemble": 0.5, "hybrid": 0.77, "gain": 0.77 - 0.8, "p": 0.04},
                "abstention": {"area under the curve": 0.99, "right answers missed": 0.4, "others let through": 0.02},
            },
        },
    }


def a_training() -> dict[str, Any]:
    """A collection with labels, one without, and one whose test questions were not asked."""
    measured = {
        "dense": {
            "nDCG@10": {"before": 0.5, "after": 0.75, "p": 0.0004},
            "Recall@10": {"before": 0.6, "after": 0.5, "p": 0.25},
        },
        "hybrid": {"nDCG@10": {"before": 0.6, "after": 0.8, "p": 0.01}},
    }
    entry = {"recipe": {}, "seconds": 630.0, "systems": measured}
    return {
        "farm dev+test no labels": entry,
        "zoo dev labels with more beams": entry,
        "zoo test labels": {**entry, "recipe": {"dense": {"batch_size": 8, "negatives": 0}}, "seconds": 90.0},
    }


def a_race() -> dict[str, Any]:
    """One seed of dense and docid together against dense alone."""

    def way(**systems: tuple[float, float]) -> dict[str, Any]:
        told = {each: {"mean": mean, "gain": mean - 0.8, "p": p} for each, (mean, p) in systems.items()}
        return {each: {"nDCG@10": values, "Recall@1": values} for each, values in told.items()}

    return {
        "zoo test 20 minutes, seed -1": {
            "dense alone": {"systems": way(dense=(0.8, 1.0), hybrid=(0.85, 0.04)), "docid": None},
            "together": {
                "systems": way(dense=(0.7, 0.001), docid=(0.8, 1.0), hybrid=(0.9, 0.002)),
                "docid": {"decision": {"shipped": True}},
            },
        }
    }


OURS = {"untrained": 0.4, "hybridret": 0.75}


def put(folder: Path, name: str, result: Any, **more: Any) -> None:
    """Writes a result's file."""
    document = {"benchmark": name, "machine": {"threads": "1"}, "result": result, **more}
    (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def page(name: str) -> str:
    return f"# A page\n\nbefore\n<!-- results: {name} -->\nold\n<!-- end of results -->\nafter\n"


def test_the_readme_says_what_the_results_say() -> None:
    text = README.read_text(encoding="utf-8")
    assert {"fusion", "figures", "finetune_dense"} <= set(blocks(text))
    assert text == rewritten(text, README), "run: python -m benchmarks readme"


def test_every_committed_result_can_be_read() -> None:
    for path in FOLDER.glob("*.json"):
        document = read_result(path.stem)
        assert document["collections" if path.stem == "full" else "result"]


def test_a_block_is_written_anew_and_all_else_stays(tmp_path: Path) -> None:
    put(tmp_path, "fusion", a_fusion())
    new = rewritten(page("fusion"), tmp_path / "README.md", tmp_path)
    head, rest = new.split("<!-- results: fusion -->\n")
    assert head == "# A page\n\nbefore\n"
    assert "old" not in rest
    assert rest.split("<!-- end of results -->")[1] == "\nafter\n"
    assert rewritten(new, tmp_path / "README.md", tmp_path) == new


def test_the_command_writes_the_page_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    path.write_text(page("fusion"), encoding="utf-8")
    put(tmp_path, "fusion", a_fusion())
    monkeypatch.setattr(command, "write_readme", lambda: write_readme(path, tmp_path))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "readme"])
    for changed in (True, False):
        command.main()
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told == {"file": "README.md", "blocks": ["fusion"], "changed": changed}
    assert "| zoo | 0.500 |" in path.read_text(encoding="utf-8")


def test_the_fusion_stands_beside_single_retrievers_and_the_ensemble() -> None:
    table = readme_tables.fusion({"result": a_fusion()})
    assert table.columns == ["collection", "bm25", "dense", "LangChain `EnsembleRetriever`", "hybridret", "gain"]
    # Holm: the smaller p counts twice, the larger once and is at least that
    assert table.rows == [
        ["zoo", "0.500", "0.400", "0.550", "0.600", "+0.100 ▲"],
        ["farm", "0.200", "0.800", "0.500", "0.770", "-0.030 ▼"],
        ["mean", "0.350", "0.600", "0.525", "0.685", "+0.035"],
    ]
    assert "Holm" in table.note


def test_what_chance_explains_is_not_marked() -> None:
    result = a_fusion()
    result["test"]["zoo"]["p"] = 0.03  # 2 * .03 is above 5 %
    assert [row[-1] for row in readme_tables.fusion({"result": result}).rows] == ["+0.100", "-0.030", "+0.035"]


def test_an_ensemble_that_could_not_run_has_no_mean() -> None:
    result = a_fusion()
    result["test"]["farm"]["LangChain ensemble"] = "pip install 'hybridret[peers]'"
    assert [row[3] for row in readme_tables.fusion({"result": result}).rows] == ["0.550", "not run", "not run"]
    assert "on average +0.050" in readme_figures.fusion({"result": result})[0]
    result["test"]["zoo"]["LangChain ensemble"] = "pip install 'hybridret[peers]'"
    assert not any("EnsembleRetriever" in line for line in readme_figures.fusion({"result": result}))


def test_losses_of_the_fusion_are_counted_and_the_worst_is_named() -> None:
    def own(worst: float) -> dict[str, Any]:
        return {
            "below the best single": ["a", "b", "c"],
            "more than 0.01 below": ["b"],
            "worst": {"collection": "b", "difference": worst},
            "mean gain": 0.02,
        }

    summary = {
        "collections": 7,
        "hybrid fitted": own(-0.5),
        "hybrid unfitted": own(-0.25),
        "look-ups": {"questions": 1200, "success@1": {"hybrid fitted": 0.98, "bm25": 1.0, "dense": 0.5}},
    }
    losses, look_ups = readme_figures.fusion_safety({"result": {"summary": summary}})
    assert "on 7 collections" in losses
    assert "fitted to the corpus, it is below the best single retriever on 3, by more than 0.01 on 1" in losses
    assert "at worst -0.500 (b), and +0.020 on average; not fitted" in losses
    assert "at worst -0.250 (b)" in losses
    assert look_ups.startswith("1,200 questions")
    assert "first for 98.0 % (bm25 100.0 %, dense 50.0 %)" in look_ups


def test_training_is_told_before_and_after_labels_first() -> None:
    assert readme_tables.finetune_dense({"result": a_training()}).rows == [
        [
            *("zoo (test)", "yes", "dense.batch_size 8, dense.negatives 0", "2"),
            *("0.500 → 0.750", "< .001", "0.600 → 0.500", "0.250"),
        ],
        ["farm (dev+test)", "no", "default", "10", "0.500 → 0.750", "< .001", "0.600 → 0.500", "0.250"],
    ]


def test_docids_are_told_beside_dense_trained_as_long() -> None:
    table = readme_tables.docid_equal_cost({"result": a_race()})
    # eight comparisons: 8 * .001, 6 * .002 are below 5 %, 4 * .04 is not
    rest = ["0.800", "0.850", "0.700 ▼", "0.800", "0.900 ▲"]
    assert table.rows == [
        ["zoo (test)", "20", "-1", "yes", "nDCG@10", *rest],
        ["zoo (test)", "20", "-1", "yes", "Recall@1", *rest],
    ]
    assert len(table.columns) == len(table.rows[0])


def test_docids_that_were_not_reached_were_not_shipped() -> None:
    result = a_race()
    result["zoo test 20 minutes, seed -1"]["together"]["docid"] = None
    assert {row[3] for row in readme_tables.docid_equal_cost({"result": result}).rows} == {"no"}


def test_the_leaderboard_marks_what_training_changed() -> None:
    def reached(gain: float, p: float) -> dict[str, Any]:
        told = {"nDCG@10": {"mean": 0.5 + gain, "gain": gain, "p": p}}
        same = {"nDCG@10": {"mean": 0.4, "gain": 0.0, "p": 1.0}}
        return {"systems": {"bm25": same, "dense": told, "docid": told, "hybrid": told}}

    states = {"untrained": reached(0.0, 1.0), "made questions": reached(-0.1, 0.005), "labels": reached(0.2, 0.001)}
    entry = {"settings": {"split": "test"}, "states": states}
    table = readme_tables.leaderboard({"result": {"zoo": entry}})
    # six comparisons: 6 * .001 and 3 * .005 are below 5 %
    assert table.rows == [
        ["zoo (test)", "untrained", "0.400", "0.500", "0.500", "0.500"],
        ["zoo (test)", "made questions", "0.400", "0.400 ▼", "0.400 ▼", "0.400 ▼"],
        ["zoo (test)", "labels", "0.400", "0.700 ▲", "0.700 ▲", "0.700 ▲"],
    ]
    states["made questions"] = reached(-0.1, 0.02)  # Holm: 3 * .02 is above 5 %
    states["labels"] = {"not run": "no labelled questions"}
    assert [row[3] for row in readme_tables.leaderboard({"result": {"zoo": entry}}).rows] == [
        "0.500",
        "0.400",
        "not run",
    ]


def test_flag_embedding_stands_beside_hybridret_by_its_rates() -> None:
    def at(mean: float, p: float) -> dict[str, Any]:
        return {each: {"mean": mean, "hybridret's gain": 0.75 - mean, "p": p} for each in ("nDCG@10", "Recall@1")}

    ours = {each: dict.fromkeys(("nDCG@10", "Recall@1"), value) for each, value in OURS.items()}
    rates = {"1e-05": at(0.5, 0.001), "0.0001": at(0.8, 0.002)}
    result = {
        "zoo test 10 minutes, seed 0": {"FlagEmbedding": {"rates": rates}, **ours},
        "farm dev 10 minutes, seed 0": {"FlagEmbedding": {"rates": {"1e-05": {"not run": "no room"}}}, **ours},
        "sea test 2 minutes, seed 1": {"FlagEmbedding": {"not run": "pip install failed"}},
    }
    table = readme_tables.flag_embedding({"result": result})
    assert table.columns[4:] == ["untrained", "FlagEmbedding, 1e-05", "FlagEmbedding, 0.0001", "hybridret"]
    assert [row for row in table.rows if row[3] == "nDCG@10"] == [
        ["zoo (test)", "10", "0", "nDCG@10", "0.400", "0.500 ▼", "0.800 ▲", "0.750"],
        ["farm (dev)", "10", "0", "nDCG@10", "0.400", "not run", "not run", "0.750"],
        ["sea (test)", "2", "1", "nDCG@10", "not run", "not run", "not run", "not run"],
    ]
    assert len(table.rows) == 6
    rates["0.0001"] = at(0.8, 0.03)  # Holm: 2 * .03 is above 5 %
    assert readme_tables.flag_embedding({"result": result}).rows[0][6] == "0.800"


def test_systems_and_peers_stand_side_by_side_the_best_first() -> None:
    def reached(mean: float) -> dict[str, Any]:
        return {"nDCG@10": {"mean": mean}, "Recall@10": {"mean": mean + 0.1}}

    def pair(first: str, second: str, difference: float, significant: bool) -> dict[str, Any]:
        return {"first": first, "second": second, "difference": difference, "significant": significant}

    quality = {
        "split": "test",
        "systems": {"dense": reached(0.5), "hybrid": reached(0.7), "peer": reached(0.6)},
        "comparisons": [
            pair("dense", "hybrid", -0.2, True),
            pair("peer", "hybrid", -0.1, False),
            pair("dense", "peer", -0.1, True),
        ],
    }
    times = {"dense": {"p50": 1.0, "p95": 2.0}, "hybrid": {"p50": 3.0, "p95": 4.5}}
    cost = {"latency_ms": times, "questions_a_second": {"dense": 2000.0, "hybrid": 100.0}}
    peers = {
        "peer": {"latency_ms": {"p50": 30.0, "p95": 40.0}, "questions_a_second": 20.0},
        "other": {"not run": "is not installed"},
    }
    table = readme_tables.full({"collections": {"zoo": {"quality": quality, "cost": cost, "peers": peers}}})
    assert table.rows == [
        ["zoo (test)", "hybrid", "0.700", "0.800", "3.00", "4.50", "100"],
        ["zoo (test)", "peer", "0.600", "0.700", "30.00", "40.00", "20"],
        ["zoo (test)", "dense", "0.500 ▼", "0.600", "1.00", "2.00", "2,000"],
    ]


def test_growth_is_told_by_size() -> None:
    def step(documents: int, ms: float, seconds: float) -> dict[str, Any]:
        bytes_a_document = {"vectors": 1544.0, "docid": 20.0}
        return {
            "documents": documents,
            "ms": {"dense": {"p50": ms}, "docid": {"p50": 2.0}},
            "build_seconds": seconds,
            "bytes_a_document": bytes_a_document,
        }

    (line,) = readme_figures.growth({"result": {"steps": [step(1000, 0.125, 1.0), step(1_000_000, 53.2, 190.4)]}})
    assert line == (
        "With 1,000, 1,000,000 documents, one thread, without the model's passes: dense 0.12, 53 ms; docid 2, 2 ms; "
        "built in 1, 190 s; 1,564, 1,564 bytes a document."
    )


def test_sentences_name_extremes_and_whose_they_are() -> None:
    over, elsewhere, apart = readme_figures.fusion({"result": a_fusion()})
    assert "on average +0.160, by collection +0.050 (zoo) to +0.270 (farm)" in over  # (.05 + .27) / 2
    assert "-0.004 (farm) to +0.020 (zoo)" in elsewhere
    assert "0.90 (zoo) to 0.99 (farm)" in apart
    assert "lets through 2% (farm) to 5% (zoo)" in apart
    assert "keeps out 10% (zoo) to 40% (farm)" in apart


def test_a_training_with_a_name_of_its_own_is_told_with_its_hybrid() -> None:
    (line,) = readme_figures.finetune_dense({"result": a_training()})
    assert line == (
        "Fine-tuned on zoo (dev, labels, 10 minutes) with more beams, nDCG@10: "
        "dense 0.500 → 0.750, hybrid 0.600 → 0.800."
    )


def test_wrong_answers_are_counted_and_ratios_are_the_extremes() -> None:
    result = {
        "documents": 1000,
        "first_use_ms": {"none": 1.0, "50 %": 30.0, "1 %": 20.0},
        "ratio": {"bm25": {"50 %": 0.5, "1 %": 0.1}, "dense": {"50 %": 1.25, "1 %": 0.2}},
        "wrong_answers": {"50 %": {"dense": 2, "bm25": 0}, "1 %": {"dense": 1, "bm25": 0}},
        "tenants": {"tenants": 7, "wrong_answers": 1, "ratio": {"again": 0.3, "after an addition each": 0.45}},
    }
    (line,) = readme_figures.filtered({"result": result})
    assert "leaves 50 %, 1 % of them: 4 wrong answers" in line
    assert "0.10 to 1.25 times" in line
    assert "the first filter on a field 30 ms more" in line
    assert "7 tenants in turn 0.30 times, and with a document added before each 0.45 times" in line
    result["wrong_answers"] = {"50 %": {"dense": 0}}
    result["tenants"] = {**result["tenants"], "wrong_answers": 0}
    assert "no wrong answers" in readme_figures.filtered({"result": result})[0]


def test_growth_is_told_beside_an_index_built_at_once() -> None:
    result = {
        "collection": "zoo",
        "measure": "Recall@10",
        "questions": {"old": 5, "new": 7},
        "at_once": {"new": {"bm25": 0.8, "dense": 0.5}},
        "grown": {"new": {"bm25": 0.8, "dense": 0.45}},
        "steps": [
            {"documents": 1000},
            {"documents": 1500, "ms_per_document": 1.0},
            {"documents": 2000, "ms_per_document": 2.0},
        ],
        "single_adds_ms": [3.0, 5.0, 100.0],
    }
    recall, cost = readme_figures.updates({"result": result})
    assert "from 1,000 to 2,000 documents in 2 batches" in recall
    assert recall.endswith("bm25 0.800 and 0.800; dense 0.500 and 0.450.")
    assert "costs there 1.5 ms beyond encoding in a batch, 5 ms alone" in cost  # (1 + 2) / 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (page("fission"), "README.md:4: there are no results 'fission', only fusion, finetune_dense, docid_equal_cost"),
        (page("docid_equal_cost"), r"README.md:4: there is no .*docid_equal_cost.json; python -m benchmarks.docid_"),
        ("\n<!-- results: fusion -->\nrest", "README.md:2: these results have no <!-- end of results -->"),
        (2 * "<!-- results: fusion -->\n" + "<!-- end of results -->", "README.md:1: these results have no"),
        ("text\n\n<!-- end of results -->", "README.md:3: <!-- end of results --> ends no results"),
    ],
)
def test_a_page_at_fault_is_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path, "fusion", a_fusion())
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        write_readme(path, tmp_path)
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"benchmark": "fusion", "version": 2, "result": {}}',
            rf"fusion.json:1: a result of version 2, this is {VERSION}",
        ),
        ('{"benchmark": "other", "result": {}}', "fusion.json:1: not a result of the benchmark fusion"),
        ("[]", "fusion.json:1: not a result of the benchmark fusion"),
        ('{"benchmark":\n"fusion"', "fusion.json:2: not JSON"),
        ('{"benchmark": "fusion", "result": {"test": {"zoo": {"gain": 1}}}}', "fusion.json has no 'p'; python -m"),
    ],
)
def test_results_at_fault_are_named_beside_the_block(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "fusion.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=rf"README.md:4: .*{message}"):
        rewritten(page("fusion"), Path("README.md"), tmp_path)


def test_an_entry_without_a_proper_name_is_named(tmp_path: Path) -> None:
    put(tmp_path, "finetune_dense", {"nonsense": {}})
    with pytest.raises(InputError, match=r"README.md:4: .*finetune_dense.json: the name of an entry .* 'nonsense'"):
        rewritten(page("finetune_dense"), Path("README.md"), tmp_path)


def test_results_tell_their_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.results.FOLDER", tmp_path)
    write_result("anything", {"value": 1})
    document = read_result("anything", tmp_path)
    assert (document["version"], document["result"]) == (VERSION, {"value": 1})
