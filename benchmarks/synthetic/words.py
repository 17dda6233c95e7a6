"""Documents of one word each, asked for by name or description; and descriptions, asked for by the word."""

from __future__ import annotations

import numpy as np

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import document_id, make_collection, typed, with_typo
from hybridret.types import Document

_GLOSSES = """
elephant: huge grey animal with a trunk
giraffe: tallest animal with a very long neck
penguin: black and white bird of the Antarctic that swims
octopus: sea creature with eight arms
butterfly: insect with large colourful wings
spider: makes a web to catch flies
dolphin: clever mammal that lives in the sea
squirrel: climbs trees and hides nuts
hedgehog: small animal covered with spines
kangaroo: Australian animal that hops and has a pouch
owl: bird that hunts at night
bee: makes honey
snail: carries its house on its back
crocodile: reptile with strong jaws that lives in rivers
camel: desert animal with humps
piano: instrument with black and white keys
violin: string instrument played with a bow
trumpet: brass instrument that one blows
drum: instrument that is beaten with sticks
guitar: six strings, played at the campfire
flute: woodwind instrument held sideways
telescope: device for looking at stars
microscope: device for looking at tiny things
thermometer: measures the temperature
barometer: measures the pressure of the air
compass: its needle points north
scissors: tool for cutting paper
hammer: tool for driving nails
screwdriver: tool for turning screws
ladder: used for climbing up to a roof
umbrella: keeps you dry in the rain
blanket: keeps you warm in bed
pillow: where you rest your head at night
kettle: boils water for tea
refrigerator: keeps food cold
oven: used for baking bread
toaster: browns slices of bread
dishwasher: cleans plates by itself
vacuum: sucks dust from the carpet
lamp: gives light in a room
candle: wax with a wick that burns
mirror: shows your own face
wallet: where money and cards are carried
passport: document for crossing borders
suitcase: packed before a journey
airport: where planes land
harbour: where ships lie
station: where trains stop
bridge: leads over a river
tunnel: leads through a mountain
lighthouse: warns ships at night
volcano: mountain that spits lava
glacier: slowly moving mass of ice
desert: dry land of sand
island: land with water all around
waterfall: river that drops over a cliff
earthquake: shaking of the ground
thunder: noise that follows lightning
rainbow: coloured arc in the sky
hurricane: violent tropical storm
avalanche: snow sliding down a slope
drought: long time without rain
flood: water covering the land
eclipse: the moon hides the sun
comet: body with a tail that circles the sun
gravity: force that makes things fall
oxygen: gas that we breathe
helium: gas that makes balloons rise
mercury: metal that is liquid at room temperature
diamond: hardest gem
copper: reddish metal used for wires
concrete: mixture of cement, sand and water
glass: transparent material of windows
leather: skin of animals made into shoes
cotton: plant fibre of shirts
silk: fine thread spun by worms
doctor: person who treats the sick
dentist: person who repairs teeth
nurse: person who cares for patients
teacher: person who works at a school
lawyer: person who defends you in court
judge: person who passes sentence
plumber: person who mends pipes
electrician: person who lays cables
carpenter: person who works with wood
butcher: person who sells meat
baker: person who sells bread
tailor: person who sews suits
pilot: person who flies a plane
sailor: person who works on a ship
farmer: person who grows crops
astronaut: person who travels to space
librarian: person who looks after books
accountant: person who keeps the financial records
architect: person who designs houses
journalist: person who writes for a newspaper
fever: high temperature of the body
headache: pain in the skull
allergy: body's reaction to pollen or nuts
diabetes: illness of too much sugar in the blood
insomnia: not being able to sleep
fracture: broken bone
vaccine: protects against an infection
bandage: covers a wound
aspirin: medicine against pain
kidney: organ that filters blood
heart: organ that pumps blood
lung: organ for breathing
stomach: organ that digests food
skeleton: all the bones together
breakfast: first meal of the day
dessert: sweet course after dinner
vinegar: sour liquid for salad
pepper: hot spice in a mill
cinnamon: brown spice from bark
garlic: bulb that smells strongly
potato: tuber used for chips
banana: long yellow fruit
strawberry: red berry eaten with cream
lemon: sour yellow fruit
coconut: large nut of a palm
mushroom: grows in the forest and has a cap
cheese: made from milk and ripened
chocolate: sweet made from cocoa
coffee: hot drink that wakes you up
wine: drink made from grapes
beer: drink brewed from barley
democracy: rule by the people
monarchy: rule by a king or queen
election: people vote for a party
tax: money paid to the state
mortgage: loan for a house
inflation: prices rise
unemployment: people have no work
bankruptcy: cannot pay debts any more
insurance: pays when something is damaged
inheritance: what is left to the children
contract: written agreement of two parties
patent: protects an invention
wedding: two people marry
funeral: the dead are buried
birthday: day on which one gets a year older
holiday: time off work
jealousy: fear of losing a partner to somebody else
courage: not being afraid
patience: being able to wait
laughter: what follows a joke
honesty: telling the truth
algorithm: step by step rule for a computation
keyboard: what one types on
printer: puts a document on paper
password: secret for logging in
firewall: blocks unwanted network traffic
database: stores tables and answers queries
compiler: turns source code into machine code
virus: program that spreads to other computers
backup: copy of files in case the disk fails
browser: program for visiting web pages
football: game with eleven players and two goals
tennis: game with rackets and a net
chess: board game with kings and pawns
marathon: race of 42 kilometres
swimming: sport done in a pool
skiing: sport done on snowy slopes
boxing: sport of two fighters with gloves
triangle: shape with three sides
circle: round shape
cube: body with six square faces
percentage: part of a hundred
century: a hundred years
decade: ten years
midnight: twelve o'clock at night
autumn: season when leaves fall
winter: coldest season
"""
_SEED = 11
_KINDS = (
    "animal",
    "bird",
    "instrument",
    "device",
    "person",
    "tool",
    "organ",
    "sport",
    "game",
    "drink",
    "fruit",
    "land",
)
_ASKED = ("{word}", "what is a {word}", "which {kind} is a {word}", "{kind} called {word}", "tell me about {word}")


def one_word() -> Collection:
    """About 170 documents of one word; each is asked for by name or misspelt, and described."""
    generator = np.random.default_rng(_SEED)
    glosses = [line.split(": ", 1) for line in _GLOSSES.strip().splitlines()]
    glosses = [glosses[at] for at in generator.permutation(len(glosses))]
    queries, qrels = {}, {}
    for at, (word, gloss) in enumerate(glosses):
        named = (word, word.upper(), with_typo(word, generator), f"picture of a {word}")[int(generator.integers(4))]
        for kind, text in (("name", named), ("description", typed(gloss, generator))):
            queries[f"{kind}{at}"], qrels[f"{kind}{at}"] = text, {document_id(at): 1}
    documents = [Document(document_id(at), word, {}) for at, (word, _) in enumerate(glosses)]
    return make_collection("one-word", documents, queries, qrels)


def descriptions() -> Collection:
    """About 170 descriptions without the word that they describe, which is asked for.

    Words tell little here, and mislead: a question names the kind of thing, which others are as well.
    """
    generator = np.random.default_rng(_SEED)
    glosses = [line.split(": ", 1) for line in _GLOSSES.strip().splitlines()]
    glosses = [glosses[at] for at in generator.permutation(len(glosses))]
    queries, qrels = {}, {}
    for at, (word, gloss) in enumerate(glosses):
        kind = next((kind for kind in _KINDS if kind in gloss), "thing")
        for number, way in enumerate(generator.permutation(len(_ASKED))[:2]):
            text = typed(_ASKED[way].format(word=word, kind=kind), generator)
            queries[f"q{at}-{number}"], qrels[f"q{at}-{number}"] = text, {document_id(at): 1}
    documents = [Document(document_id(at), gloss, {}) for at, (_, gloss) in enumerate(glosses)]
    return make_collection("descriptions", documents, queries, qrels)
