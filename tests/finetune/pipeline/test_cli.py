"""The command, in this process and in its own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from finetune.formats import read_questions
from hybridret import HybridRetriever
from hybridret.cli import app, main
from hybridret.data.readers import read_corpus
from hybridret.dense import make_encoder
from hybridret.hybrid import HybridIndex

ROOT = Path(__file__).parents[3]


class Result(NamedTuple):
    """How the command ended."""

    code: int
    out: str
    err: str


def entry() -> EntryPoint:
    """The command as pyproject.toml announces it."""
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["hybridret.commands"]
    return EntryPoint("finetune", commands["finetune"], "hybridret.commands")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def run(*arguments: str | Path) -> Result:
        registered = list(app.registered_commands)
        monkeypatch.setattr("hybridret.cli.entry_points", lambda group: [entry()])
        monkeypatch.setattr(sys, "argv", ["hybridret", "finetune", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        finally:
            app.registered_commands = registered
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def labels(domain: Any) -> list[str | Path]:
    return ["--queries", domain.folder / "queries.jsonl", "--qrels", domain.folder / "qrels" / "train.tsv"]


def test_with_labels(command: Callable[..., Result], domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    options = ["--recipe", domain.recipe, "--model", tiny_model, "--dense-max-steps", "3", "--queries-count", "0"]
    done = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options, "--json", "--keep")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["steps"] == 3
    assert report["questions"]["kind"] == "labelled"
    assert report["questions"]["held_out"] == 30
    assert set(report["questions"]["train"]) == {"labels", "titles", "sentences"} or report["questions"]["train"]
    assert report["documents"] == 40
    assert report["decision"]["shipped"] in {"base", "merge", "new"}
    stages = ["clean", "vectors", "queries", "negatives", "labels", "dense", "gate", "whiten", "index"]
    assert list(report["stages"]) == stages
    work = tmp_path / "b.work"
    assert json.loads((work / "gate" / "decision.json").read_text())["ratio"] == report["decision"]["ratio"]
    assert json.loads((work / "report.json").read_text()) == report
    found = HybridRetriever.load(tmp_path / "b").search(["red lamp"], 3)[0]
    assert len(found) == 3
    again = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options, "--json", "--resume")
    assert again.code == 0, again.err
    assert [name for name, facts in json.loads(again.out)["stages"].items() if not facts["skipped"]] == []


def test_without_labels_and_as_tables(
    command: Callable[..., Result], domain: Any, tiny_model: Path, tmp_path: Path
) -> None:
    options = ["--recipe", domain.recipe, "--model", tiny_model, "--dense-max-steps", "2"]
    done = command(domain.folder / "corpus.jsonl", "-o", tmp_path / "b", *options)
    assert done.code == 0, done.err
    assert "held-out questions (made)" in done.out
    for measure in ("dense nDCG@10", "dense Recall@10", "hybrid nDCG@10"):
        assert measure in done.out
    assert "Next: hybridret search " in done.out
    assert "model is" in done.out or "is shipped" in done.out
    assert "Trained 2 steps; 40 documents" in " ".join(done.out.split())


def test_queries_without_a_row_are_ignored(domain: Any) -> None:
    documents = read_corpus(str(domain.folder))
    found = read_questions(domain.folder / "queries.jsonl", domain.folder / "qrels" / "train.tsv", documents=documents)
    assert len(found.questions) == 80
    assert "loose" not in {question.query_id for question in found.questions}


def test_help_tells_what_decides_and_all_help_every_setting(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    done = command("--help")
    assert done.code == 0
    assert len(done.out.splitlines()) < 80
    for words in ("--queries", "--minutes", "[default: 10]", "[default: the bundle's name with .work]", "--help-all"):
        assert words in done.out
    assert "--dense-learning-rate" not in done.out
    everything = command("--help-all")
    assert everything.code == 0
    for words in (
        "--dense-learning-rate",
        "Peak of the learning rate.",
        "Stage gate",
        "--negatives-sources",
        "--minutes",
    ):
        assert words in everything.out
    assert everything.out.count("[default: ") > 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["NOWHERE", "-o", "NEW"], "there is no corpus"),
        (["EMPTY", "-o", "NEW"], "holds no documents"),
        (["ONE", "-o", "NEW"], "training needs at least two documents that differ"),
        (["ALIKE", "-o", "NEW"], "training needs at least two documents that differ"),
        (["CORPUS", "-o", "OCCUPIED"], "is not a bundle; it is left as it is"),
        (["CORPUS", "-o", "NEW", "--work", "OCCUPIED"], "is no work folder of fine-tuning; it is left as it is"),
        (["CORPUS", "-o", "NEW", "--qrels", "CORPUS"], "--qrels needs --queries"),
        (["CORPUS", "-o", "NEW", "--dense-schedule", "stairs"], "must be one of cosine, linear"),
        (["CORPUS", "-o", "NEW", "--dense-batch-size", "[1"], "is not a value"),
        (["CORPUS", "-o", "NEW", "--recipe", "NOWHERE"], "cannot be read"),
        (["CORPUS"], "give -o BUNDLE, or --continue BUNDLE --new DOCS"),
        (["-o", "NEW"], "give CORPUS, or --continue"),
        (["CORPUS", "-o", "NEW", "--new", "CORPUS"], "--new needs --continue BUNDLE"),
        (["CORPUS", "-o", "NEW", "--minutes", "0"], "minutes must be a number above 0"),
        (["CORPUS", "-o", "NEW", "--model", "NOWHERE"], "there is no model folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    command: Callable[..., Result],
    domain: Any,
    tiny_model: Path,
    tmp_path: Path,
    write_jsonl: Callable[..., Path],
    arguments: list[str],
    words: str,
) -> None:
    (tmp_path / "OCCUPIED").mkdir()
    (tmp_path / "OCCUPIED" / "thesis.txt").touch()
    places = {
        "CORPUS": domain.folder,
        "EMPTY": write_jsonl(tmp_path / "empty.jsonl"),
        "ONE": write_jsonl(tmp_path / "one.jsonl", {"_id": "a", "text": "the only document that there is"}),
        "ALIKE": write_jsonl(
            tmp_path / "alike.jsonl", *({"_id": str(at), "text": "always the same"} for at in range(9))
        ),
        **{name: tmp_path / name for name in ("NOWHERE", "NEW", "OCCUPIED")},
    }
    done = command(
        *(places.get(each, each) for each in arguments), *([] if "--model" in arguments else ["--model", tiny_model])
    )
    assert done.code == 2, done
    assert done.out == ""
    (line,) = [line for line in done.err.splitlines() if line.startswith("hybridret: ")]
    assert words in line
    assert not (tmp_path / "NEW").exists()
    assert [path.name for path in (tmp_path / "OCCUPIED").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--continue", "BUNDLE"], "--continue needs --new DOCS"),
        (["CORPUS", "--continue", "BUNDLE", "--new", "MORE"], "CORPUS cannot be given"),
        (["--continue", "BUNDLE", "--new", "MORE", "-o", "ELSEWHERE"], "-o cannot be given"),
        (["--continue", "BUNDLE", "--new", "MORE", "--model", "MODEL"], "--model cannot be given"),
        (["--continue", "NOWHERE", "--new", "MORE"], "NOWHERE is not a hybridret bundle"),
        (["--continue", "BUNDLE", "--new", "NOWHERE"], "there is no corpus"),
        (["--continue", "BUNDLE", "--new", "EMPTY"], "holds no documents"),
        (["--continue", "BUNDLE", "--new", "CORPUS"], "40 of 40 new documents have ids that the bundle has already"),
        (["--continue", "BUNDLE", "--new", "MORE", "--qrels", "MORE"], "--qrels needs --queries"),
        (["--continue", "BUNDLE", "--new", "MORE", "--continual-replay", "1"], "must be a share from 0 up and below 1"),
        (["--continue", "BUNDLE", "--new", "MORE", "--continual-replay", "0"], "distillation needs replayed texts"),
        (["--continue", "BUNDLE", "--new", "MORE", "--work", "OCCUPIED"], "is no work folder of fine-tuning"),
        (["--continue", "FOREIGN", "--new", "MORE"], "which a bundle cannot hold and nothing can train"),
    ],
)
def test_bad_input_to_a_bundle_that_goes_on_is_one_line_and_changes_nothing(
    command: Callable[..., Result],
    domain: Any,
    tiny_encoder: Any,
    embeddings: Any,
    tmp_path: Path,
    write_jsonl: Callable[..., Path],
    arguments: list[str],
    words: str,
) -> None:
    documents = read_corpus(str(domain.folder))
    (tmp_path / "OCCUPIED").mkdir()
    (tmp_path / "OCCUPIED" / "thesis.txt").touch()
    HybridIndex.build(documents, tiny_encoder, path=tmp_path / "BUNDLE")
    HybridIndex.build(documents[:3], make_encoder(embeddings), path=tmp_path / "FOREIGN")
    places = {
        "CORPUS": domain.folder,
        "EMPTY": write_jsonl(tmp_path / "empty.jsonl"),
        "MORE": write_jsonl(tmp_path / "more.jsonl", {"_id": "more", "text": "a violet ship in hall 99"}),
        **{name: tmp_path / name for name in ("BUNDLE", "FOREIGN", "NOWHERE", "OCCUPIED", "ELSEWHERE")},
    }
    done = command(*(places.get(each, each) for each in arguments))
    assert done.code == 2, done
    assert done.out == ""
    (line,) = [line for line in done.err.splitlines() if line.startswith("hybridret: ")]
    assert words in line
    assert len(HybridIndex.open(tmp_path / "BUNDLE")) == 40
    assert not (tmp_path / "ELSEWHERE").exists()


def test_a_bundle_goes_on_with_new_documents(
    command: Callable[..., Result], domain: Any, tiny_encoder: Any, tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    bundle = tmp_path / "b"
    HybridIndex.build(read_corpus(str(domain.folder)), tiny_encoder, path=bundle)
    records = [
        {
            "_id": f"n{at}",
            "title": f"violet ship {at}",
            "text": f"The violet ship lies in harbour {at}. Sailors of harbour {at} find the ship behind a tall mill.",
        }
        for at in range(12)
    ]
    new = write_jsonl(tmp_path / "new.jsonl", *records)
    options = ["--recipe", domain.recipe, "--docid-max-steps", "2", "--docid-precision", "fp32"]
    done = command("--continue", bundle, "--new", new, *labels(domain), *options)
    assert done.code == 0, done.err
    shown = " ".join(done.out.split())
    assert "Recall@10 of held-out questions before and after each batch" in shown
    assert "Trained 2 steps; 52 documents in" in shown
    again = command("--continue", bundle, "--new", new, *labels(domain), *options, "--resume", "--json")
    assert again.code == 0, again.err
    report = json.loads(again.out)
    assert [each["batch"] for each in report["updates"]] == [1]
    assert report["questions"]["old"]["kind"] == "labelled"
    assert report["questions"]["new"]["kind"] == "made"


def test_a_question_whose_positive_is_not_there_is_dropped_not_trained_on(
    command: Callable[..., Result], domain: Any, tiny_model: Path, tmp_path: Path
) -> None:
    rows = [f"q{at}-0\tgone{at}\t1" for at in range(39)] + ["q39-0\td39\t1"]
    (domain.folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n")
    options = ["--recipe", domain.recipe, "--model", tiny_model, "--dense-max-steps", "2", "--json"]
    done = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["questions"]["train"]["labels"] == 1
    assert report["cleaning"]["question: no positive in the corpus"] == 39
    gone = [line for line in done.err.splitlines() if "is not in the corpus" in line or "more problems" in line]
    assert len(gone) == 11, "the first ten, and how many more"


def test_a_positive_that_is_a_negative_is_no_negative(
    command: Callable[..., Result], domain: Any, tiny_model: Path, tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    texts = {document.doc_id: document.text for document in read_corpus(str(domain.folder))}
    records = [
        {"query": f"which hall is {at}", "pos": [texts[f"d{at}"]], "neg": [texts[f"d{at}"], texts[f"d{(at + 1) % 40}"]]}
        for at in range(40)
    ]
    path = write_jsonl(tmp_path / "flag.jsonl", *records)
    options = [
        "--keep",
        "--recipe",
        domain.recipe,
        "--model",
        tiny_model,
        "--dense-max-steps",
        "2",
        "--dense-negatives",
        "1",
        "--json",
    ]
    done = command(domain.folder, "-o", tmp_path / "b", "--queries", path, *options)
    assert done.code == 0, done.err
    negatives = json.loads((tmp_path / "b.work" / "negatives" / "negatives.json").read_text())
    questions = [
        json.loads(line) for line in (tmp_path / "b.work" / "queries" / "questions.jsonl").read_text().splitlines()
    ]
    for question in questions:
        assert not set(question["positives"]) & set(negatives[question["query_id"]])
    assert any("positive and a negative" in line for line in done.err.splitlines())


def test_the_work_of_another_program_and_of_a_damaged_stage(
    command: Callable[..., Result], domain: Any, tiny_model: Path, tmp_path: Path
) -> None:
    options = ["--recipe", domain.recipe, "--keep", "--model", tiny_model, "--dense-max-steps", "2", "--json"]
    assert command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options).code == 0
    (tmp_path / "b.work" / "negatives" / "negatives.json").write_text("{}")
    shutil.rmtree(tmp_path / "b")
    again = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options, "--resume")
    assert again.code == 0, again.err
    ran = [name for name, facts in json.loads(again.out)["stages"].items() if not facts["skipped"]]
    assert ran == ["negatives", "index"], "a damaged artefact is made again; what depends on it is the same"
    assert len(HybridRetriever.load(tmp_path / "b").search(["red lamp"], 3)[0]) == 3


def test_what_is_large_is_removed_when_all_is_done(
    command: Callable[..., Result], domain: Any, tiny_model: Path, tmp_path: Path
) -> None:
    options = ("--model", tiny_model, "--recipe", domain.recipe, "--dense-max-steps", "2")
    done = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options)
    assert done.code == 0, done.err
    assert "making questions, comparing models and writing the index take about" in done.err
    left = [path for path in (tmp_path / "b.work").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".json"}
    assert {"report.json", "labels.json", "decision.json", "log.json"} <= {path.name for path in left}
    assert sum(path.stat().st_size for path in left) < 1_000_000
    assert HybridRetriever.load(tmp_path / "b").search(["red lamp"], 3)[0]
    again = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options, "--resume", "--json")
    assert again.code == 0, again.err


def test_an_interrupted_run_says_what_is_kept_and_goes_on(
    command: Callable[..., Result], domain: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--model", tiny_model, "--recipe", domain.recipe, "--dense-max-steps", "2", "--json")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("finetune.dense.train.train_dense", stop)
        stopped = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options)
    assert stopped.code == 130
    assert stopped.err.splitlines()[-1] == (
        f"hybridret: interrupted; finished stages and checkpoints are kept in {tmp_path / 'b.work'}: the same command "
        "with --resume goes on"
    )
    assert not (tmp_path / "b").exists()
    done = command(domain.folder, "-o", tmp_path / "b", *labels(domain), *options, "--resume")
    assert done.code == 0, done.err
    skipped = [name for name, facts in json.loads(done.out)["stages"].items() if facts["skipped"]]
    assert skipped == ["clean", "vectors", "queries", "negatives", "labels"]
    assert HybridRetriever.load(tmp_path / "b").search(["red lamp"], 3)[0]
