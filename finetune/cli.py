"""The command ``hybridret finetune``: its options come from the recipe's docstrings."""

from __future__ import annotations

import inspect
import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from finetune.recipe import Recipe, Setting, changed, parse_value, read_recipe, settings
from hybridret.cli_options import (
    CORPUS_HELP,
    ChunkOverlap,
    Chunks,
    ChunkSize,
    DocumentPrompt,
    IdField,
    QueryPrompt,
    TextField,
    TitleField,
)
from hybridret.data.chunk import CHUNK_CHARACTERS, OVERLAP_CHARACTERS, Chunking
from hybridret.data.records import FieldNames
from hybridret.errors import InputError

if TYPE_CHECKING:
    from finetune.formats import LabelledSet

_NOT_GIVEN = None
_SHOWN = 10
_INTERRUPTED = 130
"""The exit code of a program that SIGINT ended, as shells have it."""


def show_all_help(context: typer.Context, wanted: bool) -> None:
    """Prints the help with the settings of all stages, which it has no room for otherwise."""
    if wanted:
        for parameter in context.command.params:
            parameter.hidden = False  # type: ignore[attr-defined]
        print(context.get_help())
        raise typer.Exit


def finetune(
    corpus: Annotated[
        str | None,
        typer.Argument(help=CORPUS_HELP),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of the bundle to write.")] = None,
    continued: Annotated[
        Path | None,
        typer.Option(
            "--continue", help="Bundle that goes on learning from --new documents, in the place of CORPUS and -o."
        ),
    ] = None,
    new: Annotated[
        str | None, typer.Option(help="Documents to add to the bundle that goes on learning, as CORPUS.")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Labelled questions: BEIR queries, or JSONL of FlagEmbedding or Tevatron, or LlamaIndex's JSON."
        ),
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="Judgements of BEIR queries; queries without a row are ignored.")
    ] = None,
    answers: Annotated[Path | None, typer.Option(help="Written answers to BEIR queries.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help=escape("Time for training; what comes on top is announced. [default: 10]"))
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file of settings, as {stage: {setting: value}}.")] = None,
    model: Annotated[str | None, typer.Option(help="Base model: a folder or a hub id.")] = None,
    task: Annotated[str | None, typer.Option(help="Task whose prompts to use, for LLM-Embedder models.")] = None,
    query_prompt: QueryPrompt = None,
    document_prompt: DocumentPrompt = None,
    language: Annotated[str, typer.Option(help="Language of the BM25 stemmer, or none.")] = "english",
    seed: Annotated[int | None, typer.Option(help=escape("Seed of everything random. [default: 0]"))] = None,
    work: Annotated[
        Path | None,
        typer.Option(help=escape("Folder of the stages' artefacts. [default: the bundle's name with .work]")),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the stages' models, vectors and checkpoints when all is done.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Skip stages whose inputs did not change; go on with an interrupted training."),
    ] = False,
    chunk: Chunks = False,
    chunk_size: ChunkSize = CHUNK_CHARACTERS,
    chunk_overlap: ChunkOverlap = OVERLAP_CHARACTERS,
    text_field: TextField = None,
    id_field: IdField = None,
    title_field: TitleField = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
    help_all: Annotated[
        bool,
        typer.Option("--help-all", callback=show_all_help, is_eager=True, help="Show the settings of all stages, too."),
    ] = False,
    **stages: str | None,
) -> None:
    """Fine-tune the dense retriever on a corpus, with or without labelled questions, and write a bundle.

    Labels are used only when they are given. A model that is no better on held-out questions is never shipped: it is
    merged with the base model, or the base model is kept. With --continue a bundle learns from new documents without
    forgetting the old ones.
    """
    from finetune.cleaning.chunks import split_corpus
    from finetune.parallel import is_first
    from finetune.pipeline import finetune as run
    from hybridret.display import progress_bars
    from hybridret.store.folders import check_target

    fields, chunking = FieldNames(text_field, id_field, title_field), Chunking(chunk_size, chunk_overlap)
    chosen = _recipe(recipe, minutes, seed, stages)
    if continued is not None or new is not None:
        given = {"CORPUS": corpus, "-o": output, "--model": model, "--task": task}
        given |= {"--query-prompt": query_prompt, "--document-prompt": document_prompt}
        bundle, source = _continued(continued, new, given)
        report = _go_on(
            bundle,
            source,
            fields,
            chunking if chunk else None,
            chunking,
            (queries, qrels, answers),
            chosen,
            work,
            resume,
        )
        if not is_first():
            return
        if as_json:
            print(json.dumps(report))
        else:
            _show_update(report)
        return
    if corpus is None or output is None:
        raise InputError(f"give {'CORPUS' if corpus is None else '-o BUNDLE'}, or --continue BUNDLE --new DOCS")
    check_target(output)
    documents = _documents(corpus, fields, chunking)
    labelled = _labels(queries, qrels, answers, documents)
    split = split_corpus(documents, labelled.questions, labelled.scores, chunking if chunk else None)
    place = output.with_name(output.name + ".work") if work is None else work
    with _telling_what_is_kept(place), progress_bars() as progress:
        report = run(
            split.documents,
            output,
            questions=split.questions,
            scores=split.scores,
            model=model,
            task=task,
            query_prompt=query_prompt,
            document_prompt=document_prompt,
            task_prompts=labelled.prompts,
            recipe=chosen,
            language=language,
            work=work,
            resume=resume,
            progress=progress if is_first() else None,
            announce=lambda text: print(text, file=sys.stderr, flush=True),
            keep=keep,
        )
    if not is_first():
        return
    if as_json:
        print(json.dumps(report))
    else:
        _show(report)


@contextmanager
def _telling_what_is_kept(work: Path) -> Iterator[None]:
    """Ends an interrupted run with one line that says what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        print(
            f"hybridret: interrupted; finished stages and checkpoints are kept in {work}: the same command with "
            "--resume goes on",
            file=sys.stderr,
        )
        raise typer.Exit(_INTERRUPTED) from error


def _documents(corpus: str, fields: FieldNames, chunking: Chunking) -> list[Any]:
    """The documents of a corpus; says what became of its files."""
    from finetune.parallel import is_first
    from hybridret.data.readers import find_source, read_files

    documents, report = read_files(find_source(corpus), fields, chunking)
    if report.read and is_first():
        print("\n".join(report.lines()), file=sys.stderr)
    return documents


def _recipe(path: Path | None, minutes: float | None, seed: int | None, stages: Mapping[str, str | None]) -> Recipe:
    made = Recipe() if path is None else read_recipe(path)
    changes: dict[str, Any] = {
        name: value for name, value in (("minutes", minutes), ("seed", seed)) if value is not _NOT_GIVEN
    }
    for setting in settings():
        text = stages.get(f"{setting.stage}_{setting.name}")
        if text is not None:
            changes.setdefault(setting.stage, {})[setting.name] = parse_value(text, _flag(setting))
    return changed(made, changes, "command line")


def _labels(queries: Path | None, qrels: Path | None, answers: Path | None, documents: list[Any]) -> LabelledSet:
    """The labels that are given; passages that they bring along are added to the documents."""
    from finetune.formats import LabelledSet, read_questions

    if queries is None:
        if qrels is not None or answers is not None:
            raise InputError(f"{'--qrels' if qrels is not None else '--answers'} needs --queries")
        return LabelledSet([], [], {}, {}, [])
    labelled = read_questions(queries, qrels, answers, documents)
    documents.extend(labelled.documents)
    for problem in labelled.problems[:_SHOWN]:
        print(f"{problem.place}: {problem.message}", file=sys.stderr)
    if len(labelled.problems) > _SHOWN:
        print(f"and {len(labelled.problems) - _SHOWN} more problems of labels", file=sys.stderr)
    return labelled


def _continued(bundle: Path | None, new: str | None, others: Mapping[str, Any]) -> tuple[Path, str]:
    """Checks the options of a bundle that goes on learning."""
    if bundle is None:
        raise InputError("--new needs --continue BUNDLE")
    if new is None:
        raise InputError("--continue needs --new DOCS: the documents to learn from")
    if wrong := [name for name, value in others.items() if value is not _NOT_GIVEN]:
        raise InputError(f"--continue goes on with a bundle as it is: {wrong[0]} cannot be given")
    return bundle, new


def _go_on(
    bundle: Path,
    new: str,
    fields: FieldNames,
    splitting: Chunking | None,
    chunking: Chunking,
    labels: tuple[Path | None, Path | None, Path | None],
    recipe: Recipe,
    work: Path | None,
    resume: bool,
) -> dict[str, Any]:
    from finetune.cleaning.chunks import split_corpus
    from finetune.continual.update import continue_training
    from hybridret.display import progress_bars
    from hybridret.hybrid import HybridIndex

    index = HybridIndex.open(bundle)
    documents = _documents(new, fields, chunking)
    old = index.get(sorted(index.ids() - {document.doc_id for document in documents}))
    known = [*documents, *old]
    n_known = len(known)
    labelled = _labels(*labels, known)
    new_documents = split_corpus([*documents, *known[n_known:]], (), {}, splitting).documents
    questions = split_corpus([*new_documents, *old], labelled.questions, {}, None).questions
    place = bundle.with_name(bundle.name + ".update") if work is None else work
    with _telling_what_is_kept(place), progress_bars() as progress:
        return continue_training(
            bundle, new_documents, questions=questions, recipe=recipe, work=work, resume=resume, progress=progress
        )


def _show(report: dict[str, Any]) -> None:
    from rich.table import Table

    from hybridret.display import make_console

    decision, docid = report["decision"], report["docid"]
    table = Table(title=f"{decision['questions']} held-out questions ({decision['held_out']})", title_justify="left")
    for column in ("", "before", "after"):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for measure, values in report["gain"].items():
        name = measure if measure.startswith("hybrid") else f"dense {measure}"
        table.add_row(name, f"{values['before']:.3f}", f"{values['after']:.3f}")
    if docid is not None and isinstance(docid["decision"].get("docid"), dict):
        trial = docid["decision"]["docid"]
        after = trial["new"] if docid["decision"]["shipped"] else trial["old"]
        table.add_row("docid nDCG@10", f"{trial['old']['nDCG@10']:.3f}", f"{after['nDCG@10']:.3f}")
    console = make_console()
    console.print(table)
    console.print(escape(decision["sentence"]))
    if report["whitening"] is not None:
        console.print(escape(report["whitening"]["sentence"]))
    if docid is not None:
        console.print(escape(docid["decision"]["sentence"]))
    for note in report["notes"]:
        console.print(escape(f"Note: {note}."))
    if report["cleaning"]:
        dropped = ", ".join(f"{count} x {reason}" for reason, count in report["cleaning"].items())
        console.print(escape(f"Left out of training, not of the index: {dropped}."))
    console.print(
        escape(
            f"Trained {report['steps']} steps; {report['documents']} documents in {report['bundle']}; "
            f"artefacts in {report['work']}."
        )
    )
    print(f'Next: hybridret search {shlex.quote(report["bundle"])} "what you look for"')


def _show_update(report: dict[str, Any]) -> None:
    from rich.table import Table

    from hybridret.display import make_console

    table = Table(title="Recall@10 of held-out questions before and after each batch", title_justify="left")
    sides = ("old: dense", "old: docid", "new: dense", "new: docid")
    for column in ("batch", "new documents", *sides, "share of new weights"):
        table.add_column(column, justify="right")
    for each in report["updates"]:
        values = [
            "{:.3f} -> {:.3f}".format(*each[side][name]["Recall@10"]) if each[side] else "-"
            for side in ("old", "new")
            for name in ("dense", "docid")
        ]
        table.add_row(str(each["batch"]), str(each["new_documents"]), *values, f"{each['ratio']:.2f}")
    console = make_console()
    console.print(table)
    console.print(escape(report["sentence"]))
    console.print(
        escape(
            f"Trained {report['steps']} steps; {report['documents']} documents in {report['bundle']}; "
            f"artefacts in {report['work']}."
        )
    )


def _flag(setting: Setting) -> str:
    return f"--{setting.stage}-{setting.name.replace('_', '-')}"


def _with_settings(command: Any) -> Any:
    """Gives the command an option for each setting, with the help of its docstring, in the stage's own panel."""
    own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "stages"]
    options = []
    for setting in settings():
        shown = json.dumps(setting.default, default=list)
        option = typer.Option(
            _flag(setting),
            help=escape(f"{setting.help} [default: {shown}]"),
            hidden=True,
            rich_help_panel=f"Stage {setting.stage}",
            metavar="VALUE",
            show_default=False,
        )
        options.append(
            inspect.Parameter(
                f"{setting.stage}_{setting.name}",
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[str | None, option],
            )
        )
    command.__signature__ = inspect.Signature([*own, *options])
    command.__annotations__ = {each.name: each.annotation for each in [*own, *options]}
    return command


finetune = _with_settings(finetune)
