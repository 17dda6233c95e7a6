"""Which retriever on your data, and at what cost.

``python -m benchmarks quick --data PATH`` measures in minutes, the built-in corpus beside your data as a yardstick;
``full --data PATH... -o FOLDER`` makes the whole report, and goes on where it was when it is run again. PATH is a BEIR
folder, its name in ``$HYBRIDRET_DATA``, ``python-docs``, or a bundle. ``readme`` writes README.md's figures anew from
``benchmarks/results``. The last line on stdout is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.collection import Collection, read_collection
from benchmarks.measure import FULL, QUICK, Bench, work_folder
from benchmarks.parts import VERSION, Parts
from benchmarks.readme import write_readme
from benchmarks.report import write_report
from benchmarks.results import environment
from benchmarks.summary import sentences
from hybridret.data.readers import PYTHON_DOCS
from hybridret.display import progress_bars
from hybridret.errors import HybridretError, InputError

FAULTY_INPUT = 2


def main() -> None:
    """Runs the command line: exit code 2 with one line on stderr where the user's input is at fault."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    options = _parse()
    try:
        result = options.run(options)
    except HybridretError as error:
        print(f"benchmarks: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(FAULTY_INPUT)
    print(json.dumps(result, ensure_ascii=False))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, call, what in (
        ("quick", _quick, "quality and cost in minutes"),
        ("full", _full, "the whole report; goes on where it was"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.set_defaults(run=call)
        command.add_argument("--data", action="extend", nargs="+", default=[], help="what to measure; repeatable")
        command.add_argument("--split", default="test", help="whose questions")
        command.add_argument("--questions", help="the dataset whose questions a bundle is asked")
        command.add_argument("--model", help="embedding model: a folder or a hub id")
        command.add_argument("-o", "--output", type=Path, required=call is _full, help="folder of the report")
    what = "writes README.md's figures anew from benchmarks/results"
    commands.add_parser("readme", help=what, description=what).set_defaults(run=lambda _: write_readme())
    return parser.parse_args()


def _quick(options: argparse.Namespace) -> dict[str, Any]:
    return _measure("quick", options, [PYTHON_DOCS, *(data for data in options.data if data != PYTHON_DOCS)])


def _full(options: argparse.Namespace) -> dict[str, Any]:
    return _measure("full", options, options.data or [PYTHON_DOCS])


def _measure(benchmark: str, options: argparse.Namespace, data: list[str]) -> dict[str, Any]:
    start = time.perf_counter()
    collections = [read_collection(each, options.split, options.questions) for each in data]
    _check_names(collections)
    setting = environment()
    with work_folder(options.output) as folder, progress_bars() as progress:
        parts = Parts(folder / "parts", {name: setting[name] for name in ("machine", "versions")})
        bench = Bench(parts, folder, options.model, FULL if benchmark == "full" else QUICK, progress)
        measured = {each.name: bench.measured(each) for each in collections}
        result = {
            "benchmark": benchmark,
            "version": VERSION,
            "command": " ".join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            **setting,
            "seconds": round(time.perf_counter() - start, 1),
            "summary": [line for name, each in measured.items() for line in sentences(name, each)],
            "collections": measured,
        }
        if options.output is not None:
            files = {each.name: bench.questions_file(each.name) for each in collections}
            write_report(folder, result, collections, files)
    return result


def _check_names(collections: list[Collection]) -> None:
    counts = Counter(each.name for each in collections)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise InputError(f"two collections are called {twice[0]!r}; results go by the name of the folder")


if __name__ == "__main__":
    main()
