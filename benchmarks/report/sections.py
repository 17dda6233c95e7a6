"""What the report says, free of HTML and Markdown: sections of lines, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.quality import MEASURES, PRIMARY
from benchmarks.report.svg import Point, interval_plot, lines, scatter, stacked_bars
from benchmarks.summary import best_system, sentences

WORSE, NOT_RUN = "▼", "not run"
_MEGABYTE = 1e6


class Table(NamedTuple):
    """A table.

    Attributes:
        caption: What it shows.
        columns: Their heads; the first column names the row.
        rows: Their cells.
        note: What one must know to read it.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


class Figure(NamedTuple):
    """A plot and what it shows."""

    caption: str
    svg: str


class Section(NamedTuple):
    """A part of the report.

    Attributes:
        title: Its heading.
        lines: Plain sentences.
        tables: Tables.
        figures: Plots, which Markdown leaves out.
    """

    title: str
    lines: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


def sections(result: Mapping[str, Any]) -> list[Section]:
    """The report of a run of ``python -m benchmarks``."""
    collections = result["collections"].items()
    summary = [line for name, each in collections for line in sentences(name, each)]
    return [
        Section("Summary", summary),
        *(_collection(name, each) for name, each in collections),
        Section("How it was measured", tables=[_run(result)]),
    ]


def _collection(name: str, measured: Mapping[str, Any]) -> Section:
    quality, cost = measured["quality"], measured["cost"]
    tables = [
        _quality(quality),
        _comparisons(quality),
        _latency(measured),
        _parts(cost),
        _slices(quality),
        _together(quality),
        _sizes(measured),
        *([_peers(measured["peers"]), _generation(measured["generation"])] if "peers" in measured else []),
    ]
    if "updates" in measured:
        tables.append(_updates(measured["updates"]))
    if "growth" in measured:
        tables.append(_growth(measured["growth"]))
    if "robustness" in measured:
        tables += [_robustness(measured["robustness"]), _poison(measured["poison"]), _detection(measured["detection"])]
    return Section(name, [], tables, _figures(name, measured))


def _figures(name: str, measured: Mapping[str, Any]) -> list[Figure]:
    quality, cost, spent = measured["quality"], measured["cost"], costs(measured)
    means = {system: own[PRIMARY] for system, own in quality["systems"].items()}
    ranked = sorted(means, key=lambda system: -float(means[system]["mean"]))
    intervals = [Point(each, means[each]["mean"], 0, means[each]["low"], means[each]["high"]) for each in ranked]
    timed = [Point(each, spent[each]["latency_ms"]["p50"], means[each]["mean"]) for each in ranked]
    parts = list(cost["parts_ms"].items())
    bars = [("one answer", parts), *((floor, [("floor", value)]) for floor, value in cost["floors_ms"].items())]
    said = "; ".join(f"{each} {means[each]['mean']:.3f}" for each in ranked)
    growing = [] if "growth" not in measured else [_growth_curves(measured["growth"])]
    if "updates" in measured and measured["updates"]["questions"]["old"]:
        growing.append(_update_curves(measured["updates"]))
    return [
        *growing,
        Figure(
            f"{PRIMARY} with 95 % intervals",
            interval_plot(intervals, PRIMARY, f"{PRIMARY} on {name}: {said}"),
        ),
        Figure(
            "Quality and latency: up and left is better",
            scatter(timed, "median ms a question, batch 1", PRIMARY, f"{PRIMARY} over latency on {name}"),
        ),
        Figure(
            "Where the time of one hybrid answer goes, beside its floors",
            stacked_bars(bars, "ms", "Milliseconds by part: " + "; ".join(f"{each} {ms:.2f}" for each, ms in parts)),
        ),
    ]


def worse_than_best(quality: Mapping[str, Any]) -> set[str]:
    """The systems that are significantly below the best one on the primary measure."""
    best = best_system(dict(quality))
    worse = set()
    for each in quality["comparisons"]:
        pair = {each["first"], each["second"]}
        other = each["first"] if each["second"] == best else each["second"]
        sign = 1 if each["first"] == best else -1
        if best in pair and each["significant"] and sign * each["difference"] > 0:
            worse.add(other)
    return worse


def _quality(quality: Mapping[str, Any]) -> Table:
    best, worse = best_system(dict(quality)), worse_than_best(quality)
    rows = [
        [
            system,
            *(
                f"{own[measure]['mean']:.3f}" + (WORSE if measure == PRIMARY and system in worse else "")
                for measure in MEASURES
            ),
        ]
        for system, own in quality["systems"].items()
    ]
    dropped = f"; {quality['dropped']} without an answer in the corpus were left out" if quality["dropped"] else ""
    return Table(
        f"Quality: {quality['questions']:,} {quality['split']} questions, {quality['documents']:,} documents",
        ["system", *MEASURES],
        rows,
        f"{WORSE} significantly below {best} on {PRIMARY}: paired t-test and paired bootstrap, both below 5 % after "
        f"Holm's correction. Answers are a hundred deep{dropped}.",
    )


def _comparisons(quality: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"{each['first']} − {each['second']}",
            f"{each['difference']:+.3f}",
            f"{each['low']:+.3f} to {each['high']:+.3f}",
            *(f"{each[p]:.2g}" for p in ("p_t", "p_bootstrap", "p_holm")),
            "yes" if each["significant"] else "no",
        ]
        for each in quality["comparisons"]
    ]
    columns = ["pair", "difference", "95 % interval", "p, t-test", "p, bootstrap", "p, corrected", "significant"]
    return Table(f"Is one better than the other? ({PRIMARY})", columns, rows)


def _latency(measured: Mapping[str, Any]) -> Table:
    cost = measured["cost"]
    rows = [
        [
            system,
            *(f"{own['latency_ms'][each]:.2f}" for each in ("p50", "p95", "p99")),
            f"{own['questions_a_second']:,.0f}",
            _megabytes(cost["memory_bytes"].get(system)),
        ]
        for system, own in costs(measured).items()
    ]
    repeated = cost["repeated"]
    note = (
        f"{cost['threads']} thread, {cost['questions']} questions, asked twice after a warm-up, systems in turn. "
        f"{repeated['ratio']} measured twice: {repeated['first']:.2f} and {repeated['second']:.2f}, "
        f"a difference of {100 * repeated['difference']:.1f} %. Memory is the peak of a fresh process."
    )
    return Table(
        "Latency at batch 1, throughput at batch 64",
        ["system", "p50 ms", "p95 ms", "p99 ms", "questions/s", "peak MB"],
        rows,
        note,
    )


def costs(measured: Mapping[str, Any]) -> dict[str, Any]:
    """By system, peers last, ``latency_ms`` and ``questions_a_second``."""
    cost = measured["cost"]
    own = {
        system: {"latency_ms": times, "questions_a_second": cost["questions_a_second"][system]}
        for system, times in cost["latency_ms"].items()
    }
    return own | {peer: told for peer, told in measured.get("peers", {}).items() if NOT_RUN not in told}


def _parts(cost: Mapping[str, Any]) -> Table:
    rows = [[name, f"{value:.2f}"] for name, value in cost["parts_ms"].items()]
    rows += [[f"floor: {name}", f"{value:.3f}"] for name, value in cost["floors_ms"].items()]
    return Table("Where the time of one hybrid answer goes", ["part", "median ms"], rows)


def _slices(quality: Mapping[str, Any]) -> Table:
    systems = list(quality["systems"])
    rows = [
        [name, str(own["questions"]), *(f"{own[system]:.3f}" for system in systems)]
        for name, own in quality["slices"].items()
    ]
    return Table(f"{PRIMARY} by kind of question", ["questions", "number", *systems], rows)


def _together(quality: Mapping[str, Any]) -> Table:
    oracle, pairs = quality["oracle"], quality["complementarity"]
    rows = [
        [f"best retriever for each question: {PRIMARY}", f"{oracle['value']:.3f}"],
        ["gain of that over the best retriever", f"{oracle['gain over the best retriever']:+.3f}"],
        *([f"{name} is (among) the best", f"{100 * share:.0f} %"] for name, share in oracle["best on"].items()),
        *(
            [f"right documents that {name} alone finds", f"{100 * share:.1f} %"]
            for name, share in pairs["found by one alone"].items()
        ),
        ["right documents that all find", f"{100 * pairs['found by all']:.1f} %"],
        ["right documents that none finds", f"{100 * pairs['found by none']:.1f} %"],
    ]
    return Table("What the retrievers know that the others do not", ["", "value"], rows, "Found: among the first ten.")


def _sizes(measured: Mapping[str, Any]) -> Table:
    build = measured["build"]
    rows = [
        [f"on disk, {part}", f"{size:,.1f} bytes a document"]
        for part, size in measured["cost"]["disk_bytes_a_document"].items()
    ]
    if NOT_RUN in build:
        rows.append(["building the index", f"{NOT_RUN}: {build[NOT_RUN]}"])
    else:
        rows += [
            [f"building: {part}", f"{build[part]:,.1f} s"] for part in ("encode", "index", "bm25 alone", "fit", "save")
        ]
        rows.append(["building: all", f"{build['seconds']:,.1f} s"])
    return Table("Size and building", ["", ""], rows)


def _peers(peers: Mapping[str, Any]) -> Table:
    rows = [
        [name, "–", "–", f"{NOT_RUN}: {own[NOT_RUN]}"]
        if NOT_RUN in own
        else [name, own["version"], f"{own['build_seconds']:.1f}", "measured"]
        for name, own in peers.items()
    ]
    return Table("Peers, on the same data and vectors", ["peer", "version", "build s", ""], rows)


def _generation(found: Mapping[str, Any]) -> Table:
    caption = "Constrained decoding with a random model: hybridret and transformers.generate"
    if NOT_RUN in found:
        return Table(caption, ["", ""], [["transformers.generate", f"{NOT_RUN}: {found[NOT_RUN]}"]])
    rows = [
        ["transformers", found["version"]],
        ["docids", f"{found['docids']:,}"],
        *([name.replace("_ms", ", ms"), f"{value:.2f}"] for name, value in found.items() if isinstance(value, float)),
    ]
    note = "generate/ours: how many times as long generate with a dict trie takes as encoding and decoding here."
    return Table(caption, ["", ""], rows, note)


def _updates(found: Mapping[str, Any]) -> Table:
    systems = list(found["grown"]["old"] or found["grown"]["new"])
    rows = [
        [f"{part} questions, {name}", *(f"{found[way][part][system]:.3f}" for system in systems)]
        for part in ("old", "new")
        for way, name in (("at_once", "indexed at once"), ("grown", "grown by batches"))
        if found[way][part]
    ]
    batches = [step["ms_per_document"] for step in found["steps"][1:]]
    singles = found["single_adds_ms"]
    note = f"Half indexed, the rest added in {len(batches)} batches without training: beyond encoding at most"
    note += f" {max(batches):.1f} ms a document"
    note += f", {singles[len(singles) // 2]:.1f} ms (median) one by one." if singles else "."
    return Table(f"{found['measure']} of an index that grows", ["questions", *systems], rows, note)


def _update_curves(found: Mapping[str, Any]) -> Figure:
    steps = [step for step in found["steps"] if step["old"]]
    curves = [
        (system, [(float(step["documents"]), float(step["old"][system])) for step in steps])
        for system in steps[0]["old"]
    ]
    described = f"{found['measure']} of questions about the first half while documents are added"
    return Figure(described, lines(curves, "documents", found["measure"], described))


def _growth(found: Mapping[str, Any]) -> Table:
    steps, exponents = found["steps"], found["exponents"]
    names = list(steps[0]["ms"])
    rows = [
        [
            f"{step['documents']:,}",
            *(f"{step['ms'][name]['p50']:.2f}" for name in names),
            f"{step['floor_ms']['dense']:.2f}",
            f"{step['build_seconds']:,.1f}",
            f"{sum(step['bytes_a_document'].values()):,.0f}",
        ]
        for step in steps
    ]
    powers = [_power(exponents, f"{name} ms") for name in names]
    rows.append(["exponent", *powers, "1", _power(exponents, "build seconds"), "–"])
    note = (
        f"Median milliseconds a question at batch 1 without the model's pass, {found['threads']} thread(s); documents "
        f"beyond the {steps[-1]['own']:,} real ones are made of them. Floor: reading all vectors once."
    )
    return Table("Growth", ["documents", *names, "floor of dense", "build s", "bytes a document"], rows, note)


def _power(exponents: Mapping[str, float], name: str) -> str:
    return f"{exponents[name]:.2f}" if name in exponents else "–"


def _growth_curves(found: Mapping[str, Any]) -> Figure:
    """Both axes are logarithms to the base of ten: a slope is an exponent."""
    names = list(found["steps"][0]["ms"])
    curves = [
        (name, [(math.log10(step["documents"]), math.log10(step["ms"][name]["p50"])) for step in found["steps"]])
        for name in names
    ]
    return Figure("Growth", lines(curves, "log10 documents", "log10 ms", "Milliseconds a question over documents"))


def _robustness(found: Mapping[str, Any]) -> Table:
    systems = list(found["as asked"])
    rows = [["as asked", "–", *(f"{found['as asked'][system]:.3f}" for system in systems)]]
    rows += [
        [
            f"{kind}, {strength}",
            f"{100 * own['changed']:.0f} %",
            *(f"{own['systems'][system][PRIMARY]:.3f}" for system in systems),
        ]
        for kind, strengths in found["perturbations"].items()
        for strength, own in strengths.items()
    ]
    rows.append(["RobustScore", "–", *(f"{found['RobustScore'][system]:.3f}" for system in systems)])
    note = (
        f"{PRIMARY} of {found['questions']} questions after a share of their words was changed; "
        "RobustScore is the mean of what is kept of the quality as asked."
    )
    return Table("Misspelt, reordered and reworded questions", ["perturbation", "changed", *systems], rows, note)


def _poison(found: Mapping[str, Any]) -> Table:
    systems = list(found["before"])
    rows = [[f"{PRIMARY} before", *(f"{found['before'][system]:.3f}" for system in systems)]]
    for attack, own in found["attacks"].items():
        rows += [
            [f"{attack}: {what}", *(f"{100 * own[system][what]:.0f} %" for system in systems)]
            for what in ("first", "among ten")
        ]
        rows.append([f"{attack}: {PRIMARY}", *(f"{own[system][PRIMARY]:.3f}" for system in systems)])
    note = f"{found['questions']} questions, each with one document written to be found for it: how often it is."
    return Table("Poisoned documents", ["attack", *systems], rows, note)


def _detection(found: Mapping[str, Any]) -> Table:
    columns = ["attack", "recall", "precision", "recall, index poisoned too"]
    rows = [
        [attack, *(f"{100 * own[each]:.0f} %" for each in ("recall", "precision", "recall in a poisoned index"))]
        for attack, own in found["attacks"].items()
    ]
    note = (
        f"Of the collection's own {found['documents']:,} documents {100 * found['suspected']:.2f} % are suspected; "
        f"precision is where {100 * found['share']:g} % of what arrives is poisoned by this attack. "
        f"{found['ms_a_document']:.2f} ms a document."
    )
    return Table("Poisoned documents noticed before they are indexed", columns, rows, note)


def _run(result: Mapping[str, Any]) -> Table:
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    rows = [["command", result["command"]], ["commit", result["commit"]], ["machine", machine]]
    rows += [[name, value] for name, value in result["versions"].items()]
    rows.append(["seconds", f"{result['seconds']:,.0f}"])
    return Table("Machine, versions, commit, command", ["", ""], rows)


def _megabytes(peaks: Mapping[str, int] | None) -> str:
    return "–" if peaks is None else f"{peaks['answered'] / _MEGABYTE:,.0f}"
