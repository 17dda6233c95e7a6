"""Words of unlike letters, which tiny models tell apart."""

WORDS = [
    "lamp",
    "road",
    "tower",
    "bridge",
    "river",
    "garden",
    "kitchen",
    "train",
    "harbour",
    "market",
    "castle",
    "mill",
]
