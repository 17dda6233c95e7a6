"""Poisoned documents: what gives them away before they are indexed, and where they wait for a look."""

from hybridret.data.poison.detector import Detector, Suspect
from hybridret.data.poison.quarantine import check_quarantine, quarantined, with_their_chunks
from hybridret.data.poison.screening import drawn, screened

__all__ = ["Detector", "Suspect", "check_quarantine", "drawn", "quarantined", "screened", "with_their_chunks"]
