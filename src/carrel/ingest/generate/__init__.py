"""Synthetic archives with their ground truth: seeded, of the six shapes of ingest.md section 5, with every fault."""

from carrel.ingest.generate.knobs import FAULTS, SHAPES, Knobs
from carrel.ingest.generate.study import generate, truth_of, write

__all__ = ["FAULTS", "SHAPES", "Knobs", "generate", "truth_of", "write"]
