"""The command line. Other packages add commands through the entry-point group ``hybridret.commands``."""

from __future__ import annotations

import io
import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridret import __version__
from hybridret.cli_options import (
    CORPUS_HELP,
    AsJson,
    BundlePath,
    ChunkOverlap,
    Chunks,
    ChunkSize,
    DocumentPrompt,
    IdField,
    QuarantinePath,
    QueryPrompt,
    TextField,
    TitleField,
    Verbose,
    part_dashes,
)
from hybridret.data.chunk import CHUNK_CHARACTERS, OVERLAP_CHARACTERS, Chunking
from hybridret.data.records import FieldNames
from hybridret.errors import BundleError, HybridretError, InputError

if TYPE_CHECKING:
    from hybridret.types import Document

app = typer.Typer(
    help="Hybrid retrieval: dense vectors, BM25 and decoded docids, fused.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the bundle to write; asked again where it is there.")
    ] = Path("python-docs-bundle"),
    as_json: AsJson = False,
) -> None:
    """Index Python's own documentation, ask it questions, and compare the retrievers."""
    from hybridret.demo import run_demo
    from hybridret.display import best_system, metrics_table, progress_bars, side_by_side

    with progress_bars() as progress:
        result = run_demo(output, progress)
    report = result.report
    if as_json:
        _print_json(report)
        return
    tables = [side_by_side(question, answers) for question, answers in result.answers.items()]
    title = (
        f"{report['queries']} test questions ({report['dropped_questions']} dropped) over {report['documents']} "
        f"documents; indexed in {report['index_seconds']} s, all in {report['seconds']} s"
    )
    _print_tables(*tables, metrics_table(title, report["metrics"]))
    print(best_system(report["metrics"]))
    print(f'The bundle is in {output}. Next: hybridret search {shlex.quote(str(output))} "read a file line by line"')


@app.command()
def index(
    corpus: Annotated[str, typer.Argument(help=CORPUS_HELP)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the bundle to write.")],
    model: Annotated[str | None, typer.Option(help="Embedding model: a folder or a hub id.")] = None,
    task: Annotated[str | None, typer.Option(help="Task whose prompts to use, for LLM-Embedder models.")] = None,
    query_prompt: QueryPrompt = None,
    document_prompt: DocumentPrompt = None,
    kind: Annotated[str, typer.Option("--index", help="FAISS index: flat, hnsw or ivfpq.")] = "flat",
    language: Annotated[str, typer.Option(help="Language of the BM25 stemmer, or none.")] = "english",
    no_fit: Annotated[
        bool, typer.Option("--no-fit", help="Do not fit the fusion to the corpus: use what fits corpora at large.")
    ] = False,
    chunk: Chunks = False,
    chunk_size: ChunkSize = CHUNK_CHARACTERS,
    chunk_overlap: ChunkOverlap = OVERLAP_CHARACTERS,
    text_field: TextField = None,
    id_field: IdField = None,
    title_field: TitleField = None,
    quarantine: QuarantinePath = None,
    verbose: Verbose = False,
) -> None:
    """Index a corpus and write a bundle; documents that look poisoned are named on stderr."""
    from hybridret.config import Config
    from hybridret.dense import make_encoder
    from hybridret.display import facts_table, progress_bars, tell_facts
    from hybridret.hybrid import HybridIndex
    from hybridret.store.folders import check_target

    check_target(output)
    fields, chunking = FieldNames(text_field, id_field, title_field), Chunking(chunk_size, chunk_overlap)
    documents = _read_documents(corpus, chunk, fields, chunking)
    encoder = make_encoder(model, task=task, query_prompt=query_prompt, document_prompt=document_prompt)
    with _without_poison(documents, [], quarantine) as kept, progress_bars() as progress:
        if not kept:
            raise InputError(f"all documents of {corpus} look poisoned; index it without --quarantine")
        built = HybridIndex.build(
            kept, encoder, Config(index=kind, language=language), output, progress, fit=not no_fit
        )
    print("\n".join(tell_facts(built.info())))
    if verbose:
        _print_tables(facts_table(f"Indexed {corpus}", built.info()))
    print(f'Next: hybridret search {shlex.quote(str(output))} "what you look for"')


@app.command()
def search(
    bundle: BundlePath,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", help="How many hits.")] = 10,
    retrievers: Annotated[str, typer.Option(help="Which take part.")] = "dense,bm25,docid",
    filter: Annotated[
        str | None, typer.Option(help='JSON object: metadata that hits must have, such as {"year": {"$gte": 2020}}.')
    ] = None,
    as_json: AsJson = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each hit is where it is.")] = False,
) -> None:
    """Search a bundle."""
    from hybridret.display import explanation_table, hits_table, make_console
    from hybridret.hybrid import HybridIndex

    opened = HybridIndex.open(bundle)
    conditions, names = _parse_filter(filter), retrievers.split(",")
    found = opened.retrieve([query], k, conditions, names)[0]
    hits, documents = [hit for hit, _ in found], [document for _, document in found]
    reasons = [opened.explain(query, hit.doc_id, conditions, names) for hit in hits] if explain else []
    if as_json:
        shown = [
            {"id": hit.doc_id, "score": hit.score, "text": document.text, "metadata": document.metadata}
            for hit, document in zip(hits, documents, strict=True)
        ]
        for entry, reason in zip(shown, reasons, strict=False):
            entry["explanation"] = reason
        _print_json({"query": query, "hits": shown})
        return
    _print_tables(hits_table(query, hits, documents, make_console().width), *map(explanation_table, reasons))


@app.command()
def add(
    bundle: BundlePath,
    corpus: Annotated[str, typer.Argument(help="What to add, as for index.")],
    upsert: Annotated[
        bool, typer.Option("--upsert", help="Replace documents whose ids are present, with all of their chunks.")
    ] = False,
    chunk: Chunks = False,
    chunk_size: ChunkSize = CHUNK_CHARACTERS,
    chunk_overlap: ChunkOverlap = OVERLAP_CHARACTERS,
    text_field: TextField = None,
    id_field: IdField = None,
    title_field: TitleField = None,
    quarantine: QuarantinePath = None,
) -> None:
    """Add documents to a bundle, without training, all or none; those that look poisoned are named on stderr."""
    from hybridret.data.poison import drawn
    from hybridret.display import progress_bars
    from hybridret.hybrid import HybridIndex

    opened = HybridIndex.open(bundle)
    fields, chunking = FieldNames(text_field, id_field, title_field), Chunking(chunk_size, chunk_overlap)
    documents = _read_documents(corpus, chunk, fields, chunking)
    known = opened.get(drawn(opened.ids()))
    with _without_poison(documents, known, quarantine) as kept, progress_bars() as progress:
        added = opened.add(kept, replace=upsert, progress=progress)
    print(f"{len(added)} documents added, {len(opened)} in {bundle}")


@app.command()
def delete(
    bundle: BundlePath, ids: Annotated[list[str], typer.Argument(help="Ids of the documents to delete.")]
) -> None:
    """Delete documents from a bundle, with all of their chunks; ids that are not present are passed over."""
    from hybridret.hybrid import HybridIndex

    opened = HybridIndex.open(bundle)
    there = len(opened.get(ids))
    deleted = opened.delete(ids)
    print(f"{there} documents deleted, {len(opened)} in {bundle}")
    if missing := [doc_id for doc_id in dict.fromkeys(ids) if doc_id not in deleted]:
        print(f"not present: {', '.join(missing)}", file=sys.stderr)


@app.command()
def compact(bundle: BundlePath) -> None:
    """Write a bundle anew without what was deleted from it."""
    from hybridret.display import progress_bars
    from hybridret.hybrid import HybridIndex

    opened = HybridIndex.open(bundle)
    with progress_bars() as progress:
        opened.compact(progress)
    print(f"{len(opened)} documents in {bundle}, none deleted")


@app.command()
def check(
    bundle: BundlePath,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what can be: postings and trie.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for damage in a bundle: every byte by its checksum, and whether the parts fit each other."""
    from hybridret.check import check_bundle, repair_bundle

    rebuilt = repair_bundle(bundle) if repair else []
    report = check_bundle(bundle)
    if as_json:
        faults = [fault._asdict() | {"repairable": fault.is_repairable} for fault in report.faults]
        facts = {"documents": report.documents, "faults": faults, "rebuilt": rebuilt, "leftovers": report.leftovers}
        _print_json(facts)
    else:
        lines = [f"rebuilt: {', '.join(rebuilt)}"] if rebuilt else []
        lines += [f"left by an interrupted change, harmless: {name}" for name in report.leftovers]
        lines += [
            fault.message + (" (--repair rebuilds it)" if fault.is_repairable else " (cannot be rebuilt)")
            for fault in report.faults
        ]
        print("\n".join([*lines, f"{report.documents} documents, {len(report.faults)} faults"]))
    if report.faults:
        raise BundleError(f"{bundle} is damaged: {len(report.faults)} faults, the first: {report.faults[0].message}")


@app.command()
def info(bundle: BundlePath, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Say what a bundle holds and how it answers; with --verbose all counts, settings and sizes."""
    from hybridret.display import facts_table, tell_facts
    from hybridret.hybrid import HybridIndex

    facts = HybridIndex.open(bundle).info()
    if as_json:
        _print_json(facts)
        return
    print("\n".join(tell_facts(facts)))
    if verbose:
        _print_tables(facts_table(str(bundle), facts))


@app.command()
def evaluate(
    bundle: BundlePath,
    dataset: Annotated[str, typer.Argument(help="A BEIR folder, its name in $HYBRIDRET_DATA, or python-docs.")],
    split: Annotated[str, typer.Option(help="Which queries.")] = "test",
    exclude_same_id: Annotated[
        bool,
        typer.Option("--exclude-same-id", help="Leave out the document whose id is the query's, as BEIR does."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a bundle's retrievers, each alone and all together, on queries with judgements."""
    from hybridret.data.dataset import read_dataset
    from hybridret.data.readers import find_source
    from hybridret.display import metrics_table, progress_bars
    from hybridret.evaluation import evaluate as measure
    from hybridret.hybrid import HybridIndex

    opened = HybridIndex.open(bundle)
    queries = read_dataset(find_source(dataset), split, opened.ids() | set(opened.parents().values()))
    if queries.dropped:
        print(f"{queries.dropped} queries dropped: no document that answers them is in the bundle", file=sys.stderr)
    same = len(set(queries.queries) & opened.ids())
    if same and not exclude_same_id:
        print(
            f"{same} queries have the same id as a document; where that is the query itself, --exclude-same-id leaves "
            "it out of the answers, as BEIR does",
            file=sys.stderr,
        )
    with progress_bars() as progress:
        metrics = measure(opened, queries, progress, exclude_same_id)
    if as_json:
        _print_json({"split": split, "queries": len(queries.queries), "metrics": metrics})
    else:
        _print_tables(metrics_table(f"{dataset} {split}: {len(queries.queries)} queries", metrics))


def _read_documents(corpus: str, chunk: bool, fields: FieldNames, chunking: Chunking) -> list[Document]:
    """The documents of a corpus, split where that is wanted; says what became of its files."""
    from hybridret.data.chunk import chunk_documents
    from hybridret.data.readers import find_source, read_files

    documents, report = read_files(find_source(corpus), fields, chunking)
    if report.read:
        print("\n".join(report.lines()), file=sys.stderr)
    return list(chunk_documents(documents, chunking=chunking)) if chunk else documents


@contextmanager
def _without_poison(
    documents: Sequence[Document], known: Sequence[Document], quarantine: Path | None
) -> Iterator[list[Document]]:
    """Gives the documents without those that look poisoned, which a file holds then; names these when all is done.

    Where a chunk looks so, all chunks of its document are held: that is replaced as a whole, or stays.

    Args:
        documents: Those that shall be taken in.
        known: Some that the index holds, by which the others are judged.
        quarantine: The file; None: all documents are taken in.
    """
    from hybridret.data.poison import check_quarantine, quarantined, screened, with_their_chunks
    from hybridret.display import suspect_lines

    if quarantine is not None:
        check_quarantine(quarantine)
    suspects = screened(documents, known)
    held = [] if quarantine is None else with_their_chunks(suspects, documents)
    held_ids = {suspect.document.doc_id for suspect in held}
    with nullcontext() if quarantine is None else quarantined(quarantine, held):
        yield [document for document in documents if document.doc_id not in held_ids]
    for line in suspect_lines(suspects, len(documents), quarantine):
        print(line, file=sys.stderr)


def _parse_filter(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise InputError(f"--filter is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise InputError(f"--filter must be a JSON object, not {text!r}")
    return parsed


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document))


def _print_tables(*tables: Any) -> None:
    from hybridret.display import make_console

    console = make_console()
    for table in tables:
        console.print(table)


def main() -> None:
    """Runs the command line: exit code 2 with one line on stderr where the user's input is at fault."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    known = {command.name for command in app.registered_commands}
    for command in entry_points(group="hybridret.commands"):
        if command.name not in known:
            app.command(name=command.name)(command.load())
    arguments = sys.argv[1:]
    if arguments[:1] in (["search"], ["delete"]):
        commands: Any = typer.main.get_command(app)
        arguments = [arguments[0], *part_dashes(commands.commands[arguments[0]], arguments[1:])]
    try:
        app(arguments)
    except HybridretError as error:
        message = " ".join(str(error).split())
        print(f"hybridret: {message}", file=sys.stderr)
        sys.exit(2)
