"""The command line: what it prints where, and how it exits."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridret import HybridRetriever, __version__
from hybridret.cli import main
from hybridret.demo import Demo
from hybridret.evaluation import SYSTEMS
from hybridret.hybrid import HybridIndex

COMMANDS = {"search", "info", "evaluate", "index", "add", "delete", "compact", "check"}
METRICS = {"nDCG@10", "Recall@1", "Recall@10", "Recall@100", "RR@10", "latency_ms_p50"}


class Result:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def hybridret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs the command line in this process."""

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["hybridret", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A bundle of three documents with the tiny model inside."""
    path = tmp_path_factory.mktemp("cli") / "bundle"
    HybridRetriever.from_texts(
        ["cats purr and sleep", "dogs bark at night 猫", "bees make [bold]honey[/bold]"],
        [{"legs": 4, "name": "Ünal"}, {"legs": 4}, {"legs": 6}],
        ["cat", "dog", "bee"],
        path=path,
        embedding_model=str(tiny_model),
        docid_levels=2,
    )
    return path


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that has the words."""
    assert result.code == 2, (result.out, result.err)
    assert result.out == ""
    assert "Traceback" not in result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("hybridret: ")]
    assert result.err.splitlines()[-1] == line
    for word in words:
        assert word in line


def test_index_then_search_info_and_evaluate(
    hybridret: Callable[..., Result], beir_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = hybridret("index", beir_folder, "-o", tmp_path / "b", "--model", tiny_model)
    assert result.code == 0, result.err
    assert "documents" in result.out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    found = hybridret("search", tmp_path / "b", "who makes honey", "-k", "3", "--json").json
    assert set(found) == {"query", "hits"}
    assert found["query"] == "who makes honey"
    assert len(found["hits"]) == 3
    for hit in found["hits"]:
        assert set(hit) == {"id", "score", "text", "metadata"}
    best = max(found["hits"], key=lambda hit: hit["score"])
    assert best == found["hits"][0]
    assert {hit["id"]: hit["metadata"] for hit in found["hits"]}["bee"] == {"title": "Bee", "legs": 4}

    facts = hybridret("info", tmp_path / "b", "--json").json
    assert facts["documents"] == 8
    assert facts["model"] == str(tiny_model)
    assert facts["cut_by_window"] == {"documents": 0, "tokens": 0}
    assert {"dimension", "config", "docid", "bytes_per_document"} <= set(facts)

    result = hybridret("evaluate", tmp_path / "b", beir_folder, "--json")
    report = result.json
    assert set(report) == {"split", "queries", "metrics"}
    assert (report["split"], report["queries"]) == ("test", 3)
    assert set(report["metrics"]) == {"bm25", "dense", "docid", "hybrid"}
    assert all(set(values) == METRICS for values in report["metrics"].values())
    assert "1 queries dropped" in result.err


def test_stdout_is_one_json_document_and_progress_goes_to_stderr(
    run_cli: Callable[..., Any], bundle: Path, beir_folder: Path
) -> None:
    (beir_folder / "qrels" / "test.tsv").write_text("q1\tcat\t1\nq2\tbee\t1\nq3\tdog\t1\n")
    done = run_cli("evaluate", bundle, beir_folder, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["queries"] == 3
    assert not done.stderr.startswith("{")


def test_search_takes_retrievers_filter_and_explain(hybridret: Callable[..., Result], bundle: Path) -> None:
    only = hybridret("search", bundle, "honey", "--retrievers", "bm25", "--json").json["hits"]
    assert only[0]["id"] == "bee"
    assert only[0]["score"] == pytest.approx(
        HybridRetriever.load(bundle).search(["honey"], 1, None, ["bm25"])[0][0].score
    )
    left = hybridret("search", bundle, "honey", "--filter", '{"legs": 4}', "--json").json["hits"]
    assert {hit["id"] for hit in left} == {"cat", "dog"}
    explained = hybridret("search", bundle, "honey", "-k", "1", "--explain", "--json").json["hits"][0]
    assert set(explained) == {"id", "score", "text", "metadata", "explanation"}
    assert explained["explanation"]["score"] == pytest.approx(explained["score"])
    assert explained["explanation"]["retrievers"]["bm25"]["terms"].keys() <= {"honey"}


def test_search_without_an_answer_gives_an_empty_list(hybridret: Callable[..., Result], bundle: Path) -> None:
    for query, filter in (("", "{}"), ("  ", "{}"), ("cats", '{"legs": 100}')):
        found = hybridret("search", bundle, query, "--filter", filter, "--json").json
        assert found == {"query": query, "hits": []}
    assert hybridret("search", bundle, "").code == 0


def test_tables_are_shown_without_json(hybridret: Callable[..., Result], bundle: Path, beir_folder: Path) -> None:
    shown = hybridret("search", bundle, "honey 猫", "--explain")
    assert shown.code == 0, shown.err
    assert "bee" in shown.out
    assert "[bold]honey" in shown.out
    assert "contribution" in shown.out
    assert "documents" in hybridret("info", bundle).out
    (beir_folder / "qrels" / "test.tsv").write_text("q1\tcat\t1\nq2\tbee\t1\nq3\tdog\t1\n")
    table = hybridret("evaluate", bundle, beir_folder)
    assert table.code == 0, table.err
    assert "hybrid" in table.out
    assert "nDCG@10" in table.out


def test_a_title_in_markup_is_shown_as_it_is(hybridret: Callable[..., Result], bundle: Path) -> None:
    shown = hybridret("search", bundle, "what is [/red] or [bold]x")
    assert shown.code == 0, shown.err
    assert "[/red]" in shown.out
    assert "[bold]" in shown.out


def test_index_takes_its_options(
    hybridret: Callable[..., Result], beir_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    options = ["--index", "hnsw", "--language", "none", "--task", "tool", "--no-fit"]
    assert hybridret("index", beir_folder, "-o", tmp_path / "b", "--model", tiny_model, *options).code == 0
    config = hybridret("info", tmp_path / "b", "--json").json["config"]
    assert (config["index"], config["language"]) == ("hnsw", "none")
    prompts = json.loads((tmp_path / "b" / "dense" / "config_sentence_transformers.json").read_text())["prompts"]
    assert prompts["query"].startswith("Transform this user request")


def test_a_collection_is_found_by_its_name(
    hybridret: Callable[..., Result],
    beir_folder: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HYBRIDRET_DATA", str(beir_folder.parent))
    assert hybridret("index", "zoo", "-o", tmp_path / "b", "--model", tiny_model).code == 0
    assert hybridret("evaluate", tmp_path / "b", "zoo", "--json").json["queries"] == 3


def test_what_the_window_cuts_off_is_reported(
    hybridret: Callable[..., Result], write_jsonl: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    corpus = write_jsonl(tmp_path / "c.jsonl", {"_id": "long", "text": "x " * 100}, {"_id": "short", "text": "x"})
    result = hybridret("index", corpus, "-o", tmp_path / "b", "--model", tiny_model)
    assert "1 documents are longer than the model's window" in result.out
    assert "cut_by_window.documents" in hybridret("info", tmp_path / "b", "--verbose").out
    assert hybridret("info", tmp_path / "b", "--json").json["cut_by_window"] == {"documents": 1, "tokens": 38}


def test_version_and_help(hybridret: Callable[..., Result]) -> None:
    assert hybridret("--version").out == f"{__version__}\n"
    shown = hybridret("--help")
    assert shown.code == 0
    for command in ("demo", "index", "search", "add", "delete", "compact", "check", "info", "evaluate"):
        assert command in shown.out
        assert hybridret(command, "--help").code == 0


def ids_in(bundle: Path) -> set[str]:
    return HybridRetriever.load(bundle).index.ids()


def whole(bundle: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bundle.iterdir() if path.is_file()}


def test_add_puts_documents_of_a_corpus_beside_those_that_are_there(
    hybridret: Callable[..., Result], bundle: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_jsonl(
        tmp_path / "more.jsonl", {"_id": "zebra", "text": "zebras graze", "legs": 4}, {"_id": "ant", "text": "ants dig"}
    )
    added = hybridret("add", bundle, corpus)
    assert (added.code, added.out) == (0, f"2 documents added, 5 in {bundle}\n")
    found = hybridret("search", bundle, "zebras", "-k", "1", "--retrievers", "bm25", "--json").json["hits"]
    assert [(hit["id"], hit["text"], hit["metadata"]) for hit in found] == [("zebra", "zebras graze", {"legs": 4})]
    assert ids_in(bundle) == {"cat", "dog", "bee", "zebra", "ant"}
    assert hybridret("check", bundle).code == 0


def test_add_refuses_ids_that_are_present_and_adds_none_of_the_others(
    hybridret: Callable[..., Result], bundle: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_jsonl(tmp_path / "more.jsonl", {"_id": "new", "text": "x"}, {"_id": "dog", "text": "puppies"})
    before = whole(bundle)
    assert_refused(hybridret("add", bundle, corpus), "'dog' is in the index already", "upsert")
    assert whole(bundle) == before
    replaced = hybridret("add", bundle, corpus, "--upsert")
    assert (replaced.code, replaced.out) == (0, f"2 documents added, 4 in {bundle}\n")
    found = hybridret("search", bundle, "puppies", "-k", "1", "--retrievers", "bm25", "--json").json["hits"]
    assert [(hit["id"], hit["text"]) for hit in found] == [("dog", "puppies")]
    assert ids_in(bundle) == {"cat", "dog", "bee", "new"}


POISON = {"_id": "bad\x1b[31m", "title": "Deal", "text": "cats <!-- cheap casino bonus -->", "legs": 0}
SOUND = {"_id": "ant", "text": "ants dig"}


def test_add_names_documents_that_look_poisoned_and_takes_them_in(
    hybridret: Callable[..., Result], bundle: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    added = hybridret("add", bundle, write_jsonl(tmp_path / "more.jsonl", SOUND, POISON))
    assert (added.code, added.out) == (0, f"2 documents added, 5 in {bundle}\n")
    report = added.err.splitlines()[-2:]
    assert report[0].startswith("1 of 2 documents look poisoned, taken in all the same (--quarantine")
    assert report[1] == "  bad\\x1b[31m: 3 words in a comment"
    sound = hybridret("add", bundle, write_jsonl(tmp_path / "sound.jsonl", {"_id": "bat", "text": "bats fly"}))
    assert "poisoned" not in sound.err


def test_quarantine_keeps_them_out_until_they_are_added_after_a_look(
    hybridret: Callable[..., Result], bundle: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    corpus, held = write_jsonl(tmp_path / "more.jsonl", POISON, SOUND), tmp_path / "held.jsonl"
    added = hybridret("add", bundle, corpus, "--quarantine", held)
    assert (added.code, added.out) == (0, f"1 documents added, 4 in {bundle}\n")
    assert f"1 of 2 documents look poisoned, held in {held}:" in added.err
    (line,) = held.read_text().splitlines()
    assert json.loads(line) == {**POISON, "quarantine": ["3 words in a comment"]}
    assert ids_in(bundle) == {"cat", "dog", "bee", "ant"}
    before = whole(bundle)
    again = hybridret("add", bundle, corpus, "--upsert", "--quarantine", held)
    assert_refused(again, f"{held} exists; a quarantine file must be a new one")
    assert whole(bundle) == before
    looked_at = hybridret("add", bundle, held)
    assert (looked_at.code, looked_at.out) == (0, f"1 documents added, 5 in {bundle}\n")
    (document,) = HybridRetriever.load(bundle).get([str(POISON["_id"])])
    assert document.page_content == "Deal cats <!-- cheap casino bonus -->"
    assert document.metadata == {"title": "Deal", "legs": 0, "quarantine": ["3 words in a comment"]}


def test_a_quarantine_file_goes_where_nothing_is_added(
    hybridret: Callable[..., Result], bundle: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_jsonl(tmp_path / "more.jsonl", POISON, {"_id": "dog", "text": "puppies"})
    before = whole(bundle)
    assert_refused(hybridret("add", bundle, corpus, "--quarantine", tmp_path / "held.jsonl"), "'dog' is in the index")
    assert whole(bundle) == before
    assert not (tmp_path / "held.jsonl").exists()
    assert_refused(hybridret("add", bundle, corpus, "--quarantine", tmp_path / "no" / "q.jsonl"), "there is no folder")
    only = write_jsonl(tmp_path / "only.jsonl", POISON)
    none = hybridret("add", bundle, only, "--quarantine", tmp_path / "held.jsonl")
    assert (none.code, none.out) == (0, f"0 documents added, 3 in {bundle}\n")
    sound = write_jsonl(tmp_path / "sound.jsonl", SOUND)
    assert hybridret("add", bundle, sound, "--quarantine", tmp_path / "unused.jsonl").code == 0
    assert not (tmp_path / "unused.jsonl").exists()


def test_index_takes_a_quarantine_file_too(
    hybridret: Callable[..., Result], write_jsonl: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    corpus, held = write_jsonl(tmp_path / "c.jsonl", SOUND, POISON), tmp_path / "held.jsonl"
    options = ["-o", tmp_path / "b", "--model", tiny_model, "--quarantine", held]
    indexed = hybridret("index", corpus, *options)
    assert indexed.code == 0, indexed.err
    assert "1 of 2 documents look poisoned, held in" in indexed.err
    assert ids_in(tmp_path / "b") == {"ant"}
    only = write_jsonl(tmp_path / "only.jsonl", POISON)
    options = ["-o", tmp_path / "new", "--model", tiny_model, "--quarantine", tmp_path / "other.jsonl"]
    assert_refused(hybridret("index", only, *options), "all documents of", "look poisoned")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "other.jsonl").exists()


def test_of_many_that_look_poisoned_the_first_are_named(
    hybridret: Callable[..., Result], bundle: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = write_jsonl(tmp_path / "c.jsonl", *({**POISON, "_id": f"bad{at}"} for at in range(8)))
    lines = hybridret("add", bundle, corpus).err.splitlines()[-7:]
    assert lines[0].startswith("8 of 8 documents look poisoned")
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == [f"bad{at}" for at in range(5)]
    assert lines[-1] == "  and 3 more"


def test_delete_removes_ids_and_names_those_that_are_not_there(hybridret: Callable[..., Result], bundle: Path) -> None:
    deleted = hybridret("delete", bundle, "cat", "nobody", "cat", "bee", "no one", "nobody")
    assert (deleted.code, deleted.out) == (0, f"2 documents deleted, 1 in {bundle}\n")
    assert deleted.err == "not present: nobody, no one\n"
    assert ids_in(bundle) == {"dog"}
    assert hybridret("search", bundle, "cats", "--json").json["hits"][0]["id"] == "dog"
    before = whole(bundle)
    again = hybridret("delete", bundle, "cat")
    assert (again.code, again.out, again.err) == (0, f"0 documents deleted, 1 in {bundle}\n", "not present: cat\n")
    assert whole(bundle) == before
    last = hybridret("delete", bundle, "dog")
    assert (last.code, last.out, last.err) == (0, f"1 documents deleted, 0 in {bundle}\n", "")
    assert hybridret("search", bundle, "cats", "--json").json == {"query": "cats", "hits": []}


def test_compact_drops_the_rows_of_deleted_documents(hybridret: Callable[..., Result], bundle: Path) -> None:
    hybridret("delete", bundle, "cat")
    assert hybridret("info", bundle, "--json").json["deleted_rows"] == 1
    before = hybridret("search", bundle, "honey dogs", "--json").json
    compacted = hybridret("compact", bundle)
    assert (compacted.code, compacted.out) == (0, f"2 documents in {bundle}, none deleted\n")
    facts = hybridret("info", bundle, "--json").json
    assert (facts["documents"], facts["deleted_rows"]) == (2, 0)
    after = hybridret("search", bundle, "honey dogs", "--json").json
    assert [hit["id"] for hit in after["hits"]] == [hit["id"] for hit in before["hits"]]
    assert hybridret("check", bundle).code == 0


def test_check_of_a_sound_bundle_says_so(hybridret: Callable[..., Result], bundle: Path) -> None:
    before = whole(bundle)
    sound = hybridret("check", bundle)
    assert (sound.code, sound.out, sound.err) == (0, "3 documents, 0 faults\n", "")
    assert hybridret("check", bundle, "--json").json == {"documents": 3, "faults": [], "rebuilt": [], "leftovers": []}
    repaired = hybridret("check", bundle, "--repair")
    assert (repaired.code, repaired.out) == (0, "3 documents, 0 faults\n")
    assert whole(bundle) == before


def test_check_tells_leftovers_apart_from_faults(hybridret: Callable[..., Result], bundle: Path) -> None:
    (bundle / "vectors.99.safetensors").touch()
    result = hybridret("check", bundle)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "left by an interrupted change, harmless: vectors.99.safetensors",
        "3 documents, 0 faults",
    ]
    assert hybridret("check", bundle, "--json").json["leftovers"] == ["vectors.99.safetensors"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_check_names_each_damaged_file_says_what_can_be_rebuilt_and_exits_with_2(
    hybridret: Callable[..., Result], bundle: Path
) -> None:
    (postings,), (vectors,) = bundle.glob("bm25.*"), bundle.glob("vectors.*")
    weights = bundle / "dense" / "model.safetensors"
    for path in (postings, vectors, weights):
        damage(path)
    result = hybridret("check", bundle)
    assert result.code == 2
    lines = result.out.splitlines()
    assert lines[-1] == "3 documents, 3 faults"
    verdicts = {path: [line for line in lines[:-1] if str(path) in line] for path in (postings, vectors, weights)}
    assert verdicts[postings][0].endswith("(--repair rebuilds it)")
    assert verdicts[vectors][0].endswith("(cannot be rebuilt)")
    assert verdicts[weights][0].endswith("(cannot be rebuilt)")
    assert [len(found) for found in verdicts.values()] == [1, 1, 1]
    first = verdicts[vectors][0].removesuffix(" (cannot be rebuilt)")
    assert result.err == f"hybridret: {bundle} is damaged: 3 faults, the first: {first}\n"


def test_check_prints_json_also_where_there_are_faults(hybridret: Callable[..., Result], bundle: Path) -> None:
    (postings,), (vectors,) = bundle.glob("bm25.*"), bundle.glob("vectors.*")
    damage(postings)
    damage(vectors)
    result = hybridret("check", bundle, "--json")
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    facts = json.loads(result.out)
    assert (facts["documents"], facts["rebuilt"], facts["leftovers"]) == (3, [], [])
    assert [(fault["part"], fault["repairable"]) for fault in facts["faults"]] == [("vectors", False), ("bm25", True)]
    assert all(set(fault) == {"part", "message", "repairable"} for fault in facts["faults"])


def test_repair_rebuilds_what_it_can_and_the_exit_code_tells_of_the_rest(
    hybridret: Callable[..., Result], bundle: Path
) -> None:
    before = hybridret("search", bundle, "honey cats", "--json").json
    (postings,), (trie,) = bundle.glob("bm25.*"), bundle.glob("trie.*")
    damage(postings)
    damage(trie)
    repaired = hybridret("check", bundle, "--repair")
    assert (repaired.code, repaired.out, repaired.err) == (0, "rebuilt: bm25, trie\n3 documents, 0 faults\n", "")
    assert hybridret("search", bundle, "honey cats", "--json").json == before
    (postings,) = bundle.glob("bm25.*")
    damage(postings)
    damage(bundle / "dense" / "model.safetensors")
    partly = hybridret("check", bundle, "--repair", "--json")
    assert partly.code == 2
    facts = json.loads(partly.out)
    assert facts["rebuilt"] == ["bm25"]
    assert [(fault["part"], fault["repairable"]) for fault in facts["faults"]] == [("model", False)]
    assert len(partly.err.splitlines()) == 1


def test_a_damaged_database_is_one_fault_that_names_it(hybridret: Callable[..., Result], bundle: Path) -> None:
    content = (bundle / "hybridret.sqlite").read_bytes()
    (bundle / "hybridret.sqlite").write_bytes(content[: len(content) // 2])
    for options in ([], ["--repair"]):
        result = hybridret("check", bundle, *options, "--json")
        assert result.code == 2
        facts = json.loads(result.out)
        assert (facts["documents"], facts["rebuilt"]) == (0, [])
        assert [(fault["part"], fault["repairable"]) for fault in facts["faults"]] == [("documents", False)]
        assert "hybridret.sqlite" in facts["faults"][0]["message"]
    assert_refused(hybridret("compact", bundle), "hybridret.sqlite")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "BUNDLE", "x", "-k", "0"], ["k must be a whole number from 1 up, not 0"]),
        (["search", "BUNDLE", "x", "-k", "-3"], ["k must be"]),
        (["search", "BUNDLE", "x", "--retrievers", "colbert"], ["unknown retriever 'colbert'"]),
        (["search", "BUNDLE", "x", "--retrievers", ""], ["unknown retriever"]),
        (["search", "BUNDLE", "x", "--filter", "{legs"], ["--filter is not JSON"]),
        (["search", "BUNDLE", "x", "--filter", "[1]"], ["--filter must be a JSON object"]),
        (["search", "BUNDLE", "x", "--filter", '{"legs": {"$in": 4}}'], ["filter on 'legs'"]),
        (["search", "BUNDLE", "x", "--filter", '{"legs": "\\ud800"}'], ["filter"]),
        (["search", "NOWHERE", "x"], ["is not a hybridret bundle: it does not exist"]),
        (["info", "FOLDER"], ["is not a hybridret bundle: it has no hybridret.sqlite"]),
        (["add", "NOWHERE", "CORPUS"], ["is not a hybridret bundle: it does not exist"]),
        (["add", "BUNDLE", "NOWHERE"], ["there is no corpus"]),
        (["add", "BUNDLE", "FOLDER"], ["holds no documents"]),
        (["add", "BUNDLE", "BROKEN"], ["broken.jsonl:2: not JSON"]),
        (["add", "BUNDLE", "TWICE", "--upsert"], ["'a' is given twice"]),
        (["add", "BUNDLE", "CORPUS"], ["is in the index already"]),
        (["delete", "NOWHERE", "cat"], ["is not a hybridret bundle: it does not exist"]),
        (["delete", "FOLDER", "cat"], ["it has no hybridret.sqlite"]),
        (["compact", "NOWHERE"], ["is not a hybridret bundle: it does not exist"]),
        (["check", "NOWHERE"], ["is not a hybridret bundle: it does not exist"]),
        (["check", "BROKEN"], ["is not a hybridret bundle: it is a file"]),
        (["check", "FOLDER", "--repair", "--json"], ["it has no hybridret.sqlite"]),
        (["evaluate", "BUNDLE", "NOWHERE"], ["has no split test"]),
        (["evaluate", "BUNDLE", "python-docs", "--split", "nope"], ["no split nope"]),
        (["index", "NOWHERE", "-o", "NEW"], ["there is no corpus"]),
        (["index", "FOLDER", "-o", "NEW"], ["holds no documents"]),
        (["index", "CORPUS", "-o", "OCCUPIED"], ["is not a bundle; it is left as it is"]),
        (["index", "CORPUS", "-o", "FILE/below"], ["FILE"]),
        (["index", "CORPUS", "-o", "NEW", "--model", "nobody/nothing"], ["model 'nobody/nothing'"]),
        (["index", "CORPUS", "-o", "NEW", "--model", "FOLDER"], ["is not a model folder"]),
        (["index", "CORPUS", "-o", "NEW", "--model", "MODEL", "--task", "nope"], ["unknown task 'nope'"]),
        (["index", "CORPUS", "-o", "NEW", "--model", "MODEL", "--index", "nope"], ["unknown index kind 'nope'"]),
        (["index", "CORPUS", "-o", "NEW", "--model", "MODEL", "--index", "ivfpq"], ["ivfpq index needs at least"]),
        (["index", "CORPUS", "-o", "NEW", "--model", "MODEL", "--language", "nope"], ["no stemmer for language"]),
        (["index", "BROKEN", "-o", "NEW"], ["broken.jsonl:2: not JSON"]),
    ],
    ids=lambda value: " ".join(value) if value[0] in COMMANDS else "",
)
def test_bad_input_is_one_line_on_stderr_and_leaves_nothing_behind(
    hybridret: Callable[..., Result],
    bundle: Path,
    beir_folder: Path,
    tiny_model: Path,
    tmp_path: Path,
    arguments: list[str],
    words: list[str],
) -> None:
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "FILE").touch()
    (tmp_path / "OCCUPIED").mkdir()
    (tmp_path / "OCCUPIED" / "thesis.txt").touch()
    (tmp_path / "broken.jsonl").write_text('{"_id": "a", "text": "b"}\n{oops\n')
    (tmp_path / "twice.jsonl").write_text('{"_id": "a", "text": "b"}\n{"_id": "a", "text": "c"}\n')
    places = {
        "BUNDLE": bundle,
        "CORPUS": beir_folder,
        "MODEL": tiny_model,
        "BROKEN": tmp_path / "broken.jsonl",
        "TWICE": tmp_path / "twice.jsonl",
        **{name: tmp_path / name for name in ("NOWHERE", "FOLDER", "NEW", "OCCUPIED", "FILE/below")},
    }
    before = sorted(tmp_path.rglob("*"))
    assert_refused(hybridret(*(places.get(argument, argument) for argument in arguments)), *words)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["nonsense"],
        ["search", "b", "q", "-k", "many"],
        ["index", "c"],
        ["add", "b"],
        ["delete", "b"],
        ["compact"],
        ["check"],
        ["check", "b", "--mend"],
        ["add", "b", "c", "--replace"],
    ],
)
def test_wrong_usage_exits_with_2_and_no_traceback(hybridret: Callable[..., Result], arguments: list[str]) -> None:
    result = hybridret(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err


def test_a_query_of_bytes_that_are_no_text_is_answered(run_cli: Callable[..., Any], bundle: Path) -> None:
    done = run_cli("search", bundle, "caf\udce9 honey", "--retrievers", "bm25", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hits"][0]["id"] == "bee"


def test_text_that_the_terminal_cannot_show_is_no_crash(run_cli: Callable[..., Any], bundle: Path) -> None:
    for options in (["--json"], []):
        done = run_cli("search", bundle, "honey 猫", "--retrievers", "bm25", *options, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr
        assert "bee" in done.stdout


def test_metadata_with_lone_surrogates_are_shown(
    hybridret: Callable[..., Result], tmp_path: Path, tiny_model: Path, run_cli: Callable[..., Any]
) -> None:
    (tmp_path / "c.jsonl").write_text('{"_id": "a", "title": "bad \\ud800 title", "text": "honey", "x": "\\udfff"}\n')
    assert hybridret("index", tmp_path / "c.jsonl", "-o", tmp_path / "b", "--model", tiny_model).code == 0
    done = run_cli("search", tmp_path / "b", "honey", "--retrievers", "bm25", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hits"][0]["id"] == "a"


def test_exit_codes_of_a_real_process(run_cli: Callable[..., Any], bundle: Path, tmp_path: Path) -> None:
    done = run_cli("search", tmp_path / "nowhere", "x", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("hybridret: ")
    done = run_cli("search", bundle, "honey", "--retrievers", "bm25", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["hits"][0]["id"] == "bee"


def test_demo_shows_answers_side_by_side_and_measures(
    hybridret: Callable[..., Result], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = HybridRetriever.load(bundle)
    answers = {system: retriever.search(["honey"], 3, None, names)[0] for system, names in SYSTEMS.items()}
    values = dict.fromkeys(sorted(METRICS), 0.5)
    report = {"queries": 1, "dropped_questions": 0, "documents": 3, "index_seconds": 0.1, "seconds": 0.2}
    demo = Demo({"honey [/red]": answers}, {**report, "metrics": dict.fromkeys(SYSTEMS, values)})
    monkeypatch.setattr("hybridret.demo.run_demo", lambda output, progress: demo)
    shown = hybridret("demo")
    assert shown.code == 0, shown.err
    for words in (
        "honey [/red]",
        "bee",
        "hybrid",
        "nDCG@10",
        "1 test questions",
        "answers best: nDCG@10 0.500",
        "Next: ",
    ):
        assert words in shown.out
    assert hybridret("demo", "--json").json == demo.report


@pytest.mark.model
@pytest.mark.slow
def test_demo_prints_one_json_document_in_which_the_hybrid_keeps_up_with_the_best(
    run_cli: Callable[..., Any], packaged_model: str, tmp_path: Path
) -> None:
    done = run_cli("demo", "-o", tmp_path / "bundle", "--json")
    assert done.returncode == 0, done.stderr
    assert len(HybridIndex.open(tmp_path / "bundle")) > 4000
    report = json.loads(done.stdout)
    assert {"documents", "questions", "seconds", "split", "queries", "metrics"} <= set(report)
    assert report["documents"] > 4000
    assert report["queries"] == report["questions"] >= 30
    assert list(report["metrics"]) == list(SYSTEMS)
    assert all(set(values) == METRICS for values in report["metrics"].values())
    scores = {system: values["nDCG@10"] for system, values in report["metrics"].items()}
    assert scores["hybrid"] >= 0.9 * max(scores.values())
    assert scores["hybrid"] > 0.3


def test_other_packages_commands_are_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from hybridret import cli

    monkeypatch.setattr("sys.argv", ["hybridret", "--version-that-is-none"])
    for _ in range(2):
        with pytest.raises(SystemExit):
            cli.main()
    names = [command.name for command in cli.app.registered_commands if command.name]
    assert names.count("finetune") == 1
