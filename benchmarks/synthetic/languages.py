"""Documents in two languages, and questions in either."""

from __future__ import annotations

import numpy as np

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import Pattern, document_id, fill, make_collection, typed
from hybridret.types import Document

_SLOTS = {
    "name": ["Keller", "Yildiz", "Okafor", "Lindqvist", "Marchetti", "Nowak"],
    "town": ["Bremsfeld", "Aldenbury", "Rosmarin", "Tullow"],
    "code": ["K-204", "K-731", "P-88", "P-19", "R-5520"],
    "n": ["4", "12", "25", "60"],
}
_ENGLISH = (
    "The museum in {town} opens at {n} minutes past nine and closes on Mondays.",
    "Mrs {name} repairs washing machines and dryers in {town}.",
    "Invoice {code} must be paid within {n} days.",
    "The swimming pool of {town} is heated to {n} degrees.",
    "Spare part {code} fits the coffee machine and costs {n} crowns.",
    "Doctor {name} treats children and has {n} free appointments a week.",
    "The train to {town} leaves from platform {n}.",
    "Dogs must be kept on a lead in the park of {town}.",
    "Library card {code} belongs to {name} and expires in {n} days.",
    "Rubbish is collected every Tuesday in {town}, street by street.",
    "{name} sells fresh bread and {n} kinds of cake in {town}.",
    "The alarm {code} means that water is leaking in the cellar.",
)
_GERMAN = (
    "Das Museum in {town} öffnet {n} Minuten nach neun und ist montags geschlossen.",
    "Frau {name} repariert Waschmaschinen und Trockner in {town}.",
    "Die Rechnung {code} ist innerhalb von {n} Tagen zu bezahlen.",
    "Das Schwimmbad von {town} wird auf {n} Grad geheizt.",
    "Das Ersatzteil {code} passt zur Kaffeemaschine und kostet {n} Kronen.",
    "Doktor {name} behandelt Kinder und hat wöchentlich {n} freie Termine.",
    "Der Zug nach {town} fährt von Gleis {n} ab.",
    "Im Park von {town} sind Hunde an der Leine zu führen.",
    "Der Bibliotheksausweis {code} gehört {name} und läuft in {n} Tagen ab.",
    "Der Müll wird in {town} jeden Dienstag abgeholt, Straße für Straße.",
    "{name} verkauft frisches Brot und {n} Sorten Kuchen in {town}.",
    "Der Alarm {code} bedeutet, dass im Keller Wasser austritt.",
)
_QUESTIONS = {
    "en": (
        "when does the museum of {town} open",
        "who fixes a broken washing machine in {town}",
        "by when do I have to pay {code}",
        "how warm is the water in {town}'s pool",
        "price of {code} for the coffee maker",
        "paediatrician {name} appointments",
        "which platform for {town}",
        "may my dog run free in {town}",
        "whose library card is {code}",
        "garbage day {town}",
        "bakery of {name} in {town}",
        "{code} alarm meaning",
    ),
    "de": (
        "wann macht das Museum in {town} auf",
        "wer repariert eine kaputte Waschmaschine in {town}",
        "bis wann muss ich {code} bezahlen",
        "wie warm ist das Becken in {town}",
        "was kostet {code} für die Kaffeemaschine",
        "Kinderarzt {name} Termine",
        "auf welchem Gleis fährt der Zug nach {town}",
        "darf mein Hund in {town} frei laufen",
        "wem gehört der Ausweis {code}",
        "Müllabfuhr {town}",
        "Bäckerei {name} in {town}",
        "was bedeutet Alarm {code}",
    ),
}
_SEED, _DOCUMENTS, _QUERIES = 31, 160, 160


def two_languages() -> Collection:
    """English and German sentences, each fact in one of the two; a third of the questions are in the other language."""
    generator = np.random.default_rng(_SEED)
    facts = fill([Pattern(text, ()) for text in _ENGLISH], _SLOTS, _DOCUMENTS, generator)
    facts = [facts[at] for at in generator.permutation(len(facts))]
    german = generator.random(len(facts)) < 0.5
    filled = [{slot: wordings[0] for slot, wordings in each.values.items()} for each in facts]
    documents = [
        Document(document_id(at), (_GERMAN if german[at] else _ENGLISH)[each.pattern].format(**filled[at]), {})
        for at, each in enumerate(facts)
    ]
    queries: dict[str, str] = {}
    qrels, texts = {}, set()
    for at in [int(at) for _ in range(3) for at in generator.permutation(len(facts))]:
        crossing = generator.random() < 1 / 3
        language = "de" if german[at] != crossing else "en"
        question = _QUESTIONS[language][facts[at].pattern]
        named = {slot: value for slot, value in filled[at].items() if f"{{{slot}}}" in question}
        text = typed(question.format(**filled[at]), generator)
        if text in texts or len(queries) == _QUERIES:
            continue
        texts.add(text)
        query = f"{'crossing' if crossing else 'same'}{len(queries)}"
        queries[query] = text
        qrels[query] = {
            document_id(other): 1
            for other, each in enumerate(facts)
            if each.pattern == facts[at].pattern and named.items() <= filled[other].items()
        }
    return make_collection("two-languages", documents, queries, qrels)
