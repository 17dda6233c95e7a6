"""Pages of a service manual as Markdown, all by one template, with error codes, part numbers and other exact terms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import make_collection, typed
from hybridret.types import Document

_DEVICES = ("press", "conveyor", "boiler", "packing robot", "lathe", "chiller", "labeller", "compressor")
_FAULTS = (
    ("Coolant pressure low", "a leaking hose or a clogged filter", "Tighten the clamps and rinse the filter.",
     ("not enough cooling liquid in the {device}", "{device} is losing coolant", "hose leaks on the {device}")),
    ("Motor too hot", "dust in the fan or a worn bearing", "Clean the fan and grease the bearing.",
     ("{device} drive overheats", "the engine of the {device} smells burnt", "high motor temperature {device}")),
    ("Door open", "a bent latch or a dirty switch", "Straighten the latch and wipe the switch.",
     ("{device} thinks its door is not shut", "safety door does not close {device}", "latch switch {device}")),
    ("Emergency stop pressed", "somebody pushed the red button", "Find out why, then turn the button to release it.",
     ("{device} halted after the red button was hit", "how to start the {device} after an emergency")),
    ("No connection to server", "an unplugged cable or a wrong address", "Check the cable and the network settings.",
     ("{device} is offline", "network trouble on the {device}", "{device} cannot reach the host")),
    ("Battery of the clock empty", "an age of more than five years", "Replace the coin cell behind the panel.",
     ("wrong time shown on the {device}", "{device} forgets the date", "coin cell {device}")),
    ("Air supply missing", "a closed valve in the ring line", "Open the valve and wait for six bar.",
     ("no compressed air at the {device}", "pneumatics of the {device} without pressure")),
    ("Belt slips", "oil on the rollers or a stretched belt", "Degrease the rollers and tension the belt.",
     ("belt of the {device} slides", "{device} runs unevenly because the belt is loose")),
    ("Sensor dirty", "chips or paper dust on the lens", "Wipe the lens with a dry cloth.",
     ("{device} does not see the workpiece", "clean the eye of the {device}", "light barrier blocked {device}")),
    ("Memory full", "recordings that nobody has deleted", "Export the recordings and erase the card.",
     ("no storage left on the {device}", "{device} cannot save any more data", "free space {device}")),
    ("Oil level low", "a missed service or a worn seal", "Top up the oil and look for drops below the seal.",
     ("{device} needs lubricant", "refill oil {device}", "puddle of oil under the {device}")),
    ("Phase missing", "a blown fuse in the cabinet", "Let an electrician replace the fuse.",
     ("{device} has only two of three phases", "fuse burnt out {device}", "power supply failure {device}")),
    ("Axis not referenced", "a restart in the middle of a job", "Drive the axis to its home position.",
     ("{device} lost its position", "homing the {device} after restart", "axis does not know where it is {device}")),
    ("Licence expired", "an unpaid subscription", "Enter the new key in the settings.",
     ("activation of the {device} ran out", "renew the subscription of the {device}")),
    ("Scale out of range", "a load outside the middle of the plate", "Centre the load and set the scale to zero.",
     ("weight shown by the {device} is wrong", "calibrate weighing on the {device}")),
    ("Label roll empty", "the end of the roll", "Insert a new roll with the printed side up.",
     ("{device} ran out of stickers", "change paper roll {device}")),
    ("Vibration too strong", "loose feet or an unbalanced tool", "Tighten the feet and balance the tool.",
     ("{device} shakes", "the {device} is loud and trembles", "unbalanced tool {device}")),
    ("Water ingress", "a cracked cover", "Dry the inside and glue or replace the cover.",
     ("{device} got wet inside", "moisture in the housing of the {device}")),
)  # fmt: skip
_SYLLABLES = ("van", "ton", "ger", "quil", "bra", "zel", "mor", "dek", "lis", "pfau", "run", "oth", "kem", "wyr", "tas")
_VERBS = ("flush", "reset", "poll", "drain", "prime", "verify")
_NOUNS = ("page", "valve", "spool", "cache", "axis", "queue", "relay", "buffer")
_LAST = ("state", "table", "counter", "handler", "timer", "block")
KINDS = ("code", "part", "person", "serial", "version", "function")
_SENTENCES = {
    "code": "The display shows {term} and the lamp blinks.",
    "part": "The spare part is {term}; order it from the store room.",
    "person": "Questions about this page answers {term} from the night shift.",
    "serial": "The page holds from serial number {term} on.",
    "version": "Corrected in firmware {term}.",
    "function": "The controller calls {term} before it stops.",
}
_ASKED = {
    "code": ("what does {term} mean", "error {term}", "{term} on the display", "how do I get rid of {term}"),
    "part": ("where do I get {term}", "spare part {term}", "which page lists {term}"),
    "person": ("what does {term} know about", "ask {term}", "page by {term}"),
    "serial": ("serial number {term}", "machine no. {term}"),
    "version": ("what was corrected in {term}", "firmware {term}"),
    "function": ("when is {term} called", "{term} stops controller"),
}
_STRAYS = (
    "# Shopping list\n\n- oat milk\n- two lemons\n- candles\n- washing powder\n- onions\n- rye bread\n- apples\n- tea",
    "# Minutes\n\nPresent: Ruth, Omar, Lena\n\n1. The summer party is in June.\n2. Omar books the band.\n"
    "3. Lena asks about the tents.\n4. Parking is behind the hall.\n5. Next meeting on Thursday.",
    "# Poem\n\nThe kettle hums, the morning waits,\nA sparrow counts the garden gates,\nThe fog lets go of hill and "
    "tree,\nAnd someone hums along with me.\n\nThe day is young, the bread is warm,\nNo sign of wind, no hint of storm",
    "# Bus times\n\n06:12 harbour\n06:42 harbour\n07:02 hospital\n07:12 harbour\n07:32 hospital\n08:12 harbour\n"
    "08:42 zoo\n09:12 harbour",
)


class Page(NamedTuple):
    """A page of the manual.

    Attributes:
        document: What is indexed.
        device: Name and number of the machine.
        fault: Which of the faults it is about.
        terms: By kind an exact term that stands on this page alone.
    """

    document: Document
    device: str
    fault: int
    terms: dict[str, str]


def manual_pages(n_pages: int, generator: np.random.Generator) -> list[Page]:
    """Pages about faults of machines, each fault of a machine once.

    Every page holds an error code that stands nowhere else, and every second one each of the other kinds of terms.
    """
    terms = {kind: _terms(kind, n_pages, generator) for kind in KINDS}
    n_machines = -(-n_pages // len(_FAULTS))
    machines = [f"{_DEVICES[at % len(_DEVICES)]} {at // len(_DEVICES) + 1}" for at in range(n_machines)]
    drawn = generator.permutation(n_machines * len(_FAULTS))[:n_pages].tolist()
    pages = []
    for at, place in enumerate(drawn):
        device, fault = machines[place // len(_FAULTS)], place % len(_FAULTS)
        held = {kind: terms[kind][at] for kind in KINDS if kind == "code" or generator.random() < 0.5}
        name = f"{device.replace(' ', '-')}/{_FAULTS[fault][0].lower().replace(' ', '-')}.md"
        pages.append(Page(Document(name, _page(device, fault, held), {"source": name}), device, fault, held))
    return pages


def manual(n_pages: int = 150, n_queries: int = 250, seed: int = 41, name: str = "manual-pages") -> Collection:
    """A service manual; asked for by symptoms in other words, by titles, and by error codes."""
    generator = np.random.default_rng(seed)
    pages = manual_pages(n_pages, generator)
    queries: dict[str, str] = {}
    qrels, texts = {}, set()
    for at in [int(at) for _ in range(3) for at in generator.permutation(len(pages))]:
        page = pages[at]
        title, _, _, questions = _FAULTS[page.fault]
        ways = [*questions, f"{title} {{device}}", page.terms["code"], f"what does {page.terms['code']} mean"]
        text = ways[int(generator.integers(len(ways)))].format(device=page.device)
        text = text if text == page.terms["code"] else typed(text, generator)
        if text in texts or len(queries) == n_queries:
            continue
        texts.add(text)
        query = f"q{len(queries)}"
        queries[query], qrels[query] = text, {page.document.doc_id: 1}
    return make_collection(name, [page.document for page in pages], queries, qrels)


def lookups(n_pages: int, n_strays: int = 0, seed: int = 0, n_queries: int = 20) -> Collection:
    """Exact terms, each of which stands on one page: alone, or in a short question.

    Args:
        n_pages: How many pages the corpus has.
        n_strays: How many files of ten lines lie beside them, four at most.
        seed: Of the order of the documents, which is all that it changes.
        n_queries: How many terms, of all kinds alike.

    Returns:
        The collection; each question is answered by the one page with its term.

    Raises:
        ValueError: A term stands in another document as well.
    """
    generator = np.random.default_rng(n_pages)
    pages = manual_pages(n_pages, generator)
    strays = [Document(f"stray-{at}.md", text, {}) for at, text in enumerate(_STRAYS[:n_strays])]
    documents = [*(page.document for page in pages), *strays]
    queries, qrels = {}, {}
    waiting = generator.permutation(n_pages).tolist()
    for number in range(min(n_queries, n_pages)):
        wanted = KINDS[number % len(KINDS)]
        at = next((each for each in waiting if wanted in pages[each].terms), waiting[0])
        waiting.remove(at)
        kind = wanted if wanted in pages[at].terms else "code"
        term = pages[at].terms[kind]
        if sum(term.casefold() in each.text.casefold() for each in documents) != 1:
            raise ValueError(f"{term} does not stand in exactly one document")
        ways = ("{term}", "{term}", "{term}", *_ASKED[kind])
        query = f"{kind}{at}"
        queries[query] = ways[int(generator.integers(len(ways)))].format(term=term)
        qrels[query] = {pages[at].document.doc_id: 1}
    order = np.random.default_rng(seed).permutation(len(documents))
    name = f"lookups-{n_pages}-strays-{n_strays}-order-{seed}"
    return make_collection(name, [documents[at] for at in order], queries, qrels)


def _page(device: str, fault: int, terms: dict[str, str]) -> str:
    title, cause, remedy, _ = _FAULTS[fault]
    told = {kind: _SENTENCES[kind].format(term=term) for kind, term in terms.items()}
    further = " ".join(told[kind] for kind in KINDS[1:] if kind in told)
    return (
        f"# {title}: {device}\n\n{told['code']} This page is for trained staff only. Switch the {device} off before "
        f"you open it.\n\n## Cause\n\nThe usual cause is {cause}.\n\n## Remedy\n\n{remedy} Then acknowledge the "
        f"message and start the {device} again.\n\n## Further\n\n{further or 'Nothing.'} If the message comes back, "
        "call the service."
    )


def _terms(kind: str, n_terms: int, generator: np.random.Generator) -> Sequence[str]:
    """Terms of a kind, none of which is a part of another."""
    made: dict[str, None] = {}
    while len(made) < n_terms:
        made[_term(kind, generator)] = None
    return list(made)


def _term(kind: str, generator: np.random.Generator) -> str:
    def draw(choices: Sequence[str]) -> str:
        return choices[int(generator.integers(len(choices)))]

    def number(low: int, high: int) -> int:
        return int(generator.integers(low, high))

    if kind == "code":
        return f"{draw('EFW')}{number(1000, 10_000)}"
    if kind == "part":
        return f"{draw('KRT')}{draw('XQZ')}-{number(1000, 10_000)}-{draw('ABCD')}"
    if kind == "person":
        return re.sub(r"(.)\1", r"\1", "".join(draw(_SYLLABLES) for _ in range(3))).capitalize()
    if kind == "serial":
        return str(number(100_000, 1_000_000))
    if kind == "version":
        return f"{number(1, 10)}.{number(10, 60)}.{number(100, 999)}{draw(('', 'rc1', 'b2'))}"
    return f"{draw(_VERBS)}_{draw(_NOUNS)}_{draw(_LAST)}{number(1, 30)}x"
