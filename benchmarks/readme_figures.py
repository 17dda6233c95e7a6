"""The README's single figures: what a benchmark's file says, in sentences that name the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import mean, median
from typing import Any

from benchmarks.fusion_safety import BEYOND, TOLERANCE
from benchmarks.quality import PRIMARY
from benchmarks.readme_tables import FINETUNED

Document = Mapping[str, Any]


def python_docs(document: Document) -> list[str]:
    """Each retriever on the built-in collection's test questions, and how far its judges agree."""
    result = document["result"]
    told = "; ".join(
        f"{system} {own[PRIMARY]['mean']:.3f} ({own[PRIMARY]['low']:.3f} to {own[PRIMARY]['high']:.3f})"
        for system, own in result["systems"].items()
    )
    judged = result["agreement"]
    return [
        f"The built-in collection python-docs, {result['documents']:,} documents, {result['questions']} test "
        f"questions, {PRIMARY} with 95 % bootstrap intervals: {told}.",
        f"Two judges, the second blind, graded {judged['pairs']} candidates of {judged['questions']} of its questions "
        f"alike in {100 * judged['grades']['alike']:.0f} % (Cohen's kappa {judged['grades']['kappa']:.2f}).",
    ]


def fusion(document: Document) -> list[str]:
    """What the table leaves out: gains over an ensemble and on unseen collections, and how well doubt is told."""
    rows, left_out = document["result"]["test"], document["result"]["left out in turn"]
    over = {
        name: row["hybrid"] - row["LangChain ensemble"]
        for name, row in rows.items()
        if isinstance(row["LangChain ensemble"], float)
    }
    elsewhere = {name: row["fitted"] for name, row in left_out.items()}
    apart, missed, passed = (
        {name: row["abstention"][kind] for name, row in rows.items()}
        for kind in ("area under the curve", "right answers missed", "others let through")
    )
    lines = []
    if over:
        lines.append(
            f"The learned fusion against LangChain's `EnsembleRetriever`, {PRIMARY}: on average "
            f"{mean(over.values()):+.3f}, by collection {_range(over, '+.3f')}."
        )
    lines += [
        "The fusion's first weights come from train and dev questions of these collections. With a collection's own "
        f"left out its gain on them is {_range(elsewhere, '+.3f')}.",
        "The best score tells questions of other collections from answerable ones with an area under the ROC curve of "
        f"{_range(apart, '.2f')}; `threshold()` lets through {_range(passed, '.0%')} of the former and keeps out "
        f"{_range(missed, '.0%')} of the right answers.",
    ]
    return lines


def fusion_safety(document: Document) -> list[str]:
    """On how many collections the hybrid loses, by how much at worst, and whether exact terms are found first."""
    summary = document["result"]["summary"]
    told = []
    for hybrid, way in (("hybrid fitted", "fitted to the corpus"), ("hybrid unfitted", "not fitted")):
        own = summary[hybrid]
        worst = own["worst"]
        told.append(
            f"{way}, it is below the best single retriever on {len(own['below the best single'])}, by more than "
            f"{TOLERANCE} on {len(own[BEYOND])}, at worst {worst['difference']:+.3f} ({worst['collection']}), and "
            f"{own['mean gain']:+.3f} on average"
        )
    lines = [
        f"The hybrid on {summary['collections']} collections, synthetic ones with documents of a word, a line or a "
        f"sentence, copies, two languages and few documents among them, {PRIMARY}: {'; '.join(told)}."
    ]
    if "look-ups" in summary:
        first = summary["look-ups"]["success@1"]
        lines.append(
            f"{summary['look-ups']['questions']:,} questions for an exact term that stands in one of 20 to 2,000 "
            f"documents: that document comes first for {100 * first['hybrid fitted']:.1f} % (bm25 "
            f"{100 * first['bm25']:.1f} %, dense {100 * first['dense']:.1f} %)."
        )
    return lines


def finetune_dense(document: Document) -> list[str]:
    """Dense and hybrid before and after, where an entry was given a name of its own."""
    lines = []
    for key, entry in document["result"].items():
        named = FINETUNED.fullmatch(key)
        if named is None or not named["tag"]:
            continue
        changes = ", ".join(
            f"{system} {values[PRIMARY]['before']:.3f} → {values[PRIMARY]['after']:.3f}"
            for system, values in entry["systems"].items()
            if system in {"dense", "hybrid"}
        )
        lines.append(
            f"Fine-tuned on {named['name']} ({named['split']}, {named['labels']}, {entry['seconds'] / 60:.0f} minutes)"
            f"{named['tag']}, {PRIMARY}: {changes}."
        )
    return lines


def bm25_speed(document: Document) -> list[str]:
    """How much faster than rank-bm25."""
    result = document["result"]
    equal = "equal bit for bit" if result["equal_bit_for_bit"] else "not equal"
    faster = result["times_faster"]
    return [
        f"BM25 against rank-bm25, {result['documents']:,} documents, {result['queries']} queries: {equal}, "
        f"{faster['first_time']:.0f} times faster when a term is first asked for, {faster['warm']:.0f} times warm."
    ]


def query_latency(document: Document) -> list[str]:
    """What a query costs."""
    result = document["result"]
    times = result["median_ms"]
    return [
        f"A warm query through `HybridRetriever` over {result['documents']:,} documents, all three retrievers, "
        f"{document['machine']['threads']} thread: {times['invoke']:.1f} ms, of which the encoder's forward pass is "
        f"{times['forward']:.1f}."
    ]


def updates(document: Document) -> list[str]:
    """An index that grew, and what an added document costs."""
    result = document["result"]
    once, grown, steps = result["at_once"]["new"], result["grown"]["new"], result["steps"]
    systems = "; ".join(f"{system} {once[system]:.3f} and {grown[system]:.3f}" for system in once)
    batch = median(step["ms_per_document"] for step in steps[1:])
    return [
        f"{result['collection']} indexed at once, and grown without training from {steps[0]['documents']:,} to "
        f"{steps[-1]['documents']:,} documents in {len(steps) - 1} batches, {result['measure']} on the "
        f"{result['questions']['new']} questions about new documents: {systems}.",
        f"An added document costs there {batch:.1f} ms beyond encoding in a batch, "
        f"{median(result['single_adds_ms']):.0f} ms alone (medians).",
    ]


def growth(document: Document) -> list[str]:
    """What an answer and an index cost as documents become more."""
    steps = document["result"]["steps"]
    sizes = [f"{step['documents']:,}" for step in steps]
    answers = "; ".join(
        f"{name} {', '.join(format(step['ms'][name]['p50'], '.2g') for step in steps)} ms" for name in steps[0]["ms"]
    )
    built = ", ".join(f"{step['build_seconds']:.0f}" for step in steps)
    held = ", ".join(f"{sum(step['bytes_a_document'].values()):,.0f}" for step in steps)
    return [
        f"With {', '.join(sizes)} documents, one thread, without the model's passes: {answers}; built in {built} s; "
        f"{held} bytes a document."
    ]


def filtered(document: Document) -> list[str]:
    """Whether filtered search is exact, and what it costs."""
    result = document["result"]
    ratios = [ratio for each in result["ratio"].values() for ratio in each.values()]
    tenants = result["tenants"]
    wrong = sum(count for each in result["wrong_answers"].values() for count in each.values())
    wrong += tenants["wrong_answers"]
    first = [ms for name, ms in result["first_use_ms"].items() if name != "none"]
    return [
        f"Filtered search over {result['documents']:,} documents that leaves {', '.join(result['wrong_answers'])} of "
        f"them: {wrong or 'no'} wrong answers against brute force, {min(ratios):.2f} to {max(ratios):.2f} times the "
        f"time of unfiltered search, the first filter on a field {max(first):.0f} ms more; filters of "
        f"{tenants['tenants']} tenants in turn {tenants['ratio']['again']:.2f} times, and with a document added before "
        f"each {tenants['ratio']['after an addition each']:.2f} times."
    ]


SENTENCES: dict[str, Callable[[Document], list[str]]] = {
    "python_docs": python_docs,
    "fusion": fusion,
    "fusion_safety": fusion_safety,
    "finetune_dense": finetune_dense,
    "bm25_speed": bm25_speed,
    "query_latency": query_latency,
    "updates": updates,
    "growth": growth,
    "filtered": filtered,
}
"""By benchmark its sentences."""


def _range(values: Mapping[str, float], form: str) -> str:
    """The lowest and the highest value and whose they are."""
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    return f"{values[low]:{form}} ({low}) to {values[high]:{form}} ({high})"
