"""Synthetic archives with their ground truth: seeded, of the six shapes of ingest.md section 5, with every fault."""

from carrel.ingest.generate.knobs import FAULTS, SHAPES, Knobs
from carrel.ingest.generate.shapes import SCHEMAS
from carrel.ingest.generate.study import generate, truth_of, write

__all__ = ["FAULTS", "SCHEMAS", "SHAPES", "Knobs", "generate", "truth_of", "write"]
