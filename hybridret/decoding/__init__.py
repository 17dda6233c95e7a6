"""The docid trie and beam search over it: arrays only."""

from hybridret.decoding.beam import Ahead, LogProbs, Step, beam_search
from hybridret.decoding.guide import Guide
from hybridret.decoding.trie import END, Stored, Trie

__all__ = ["END", "Ahead", "Guide", "LogProbs", "Step", "Stored", "Trie", "beam_search"]
