"""Synthetic archives with their ground truth: seeded, of the six shapes of ingest.md section 5, with every fault."""

from carrel.synthetic.knobs import FAULTS, SHAPES, Knobs
from carrel.synthetic.shapes import SCHEMAS
from carrel.synthetic.study import generate, truth_of, write

__all__ = ["FAULTS", "SCHEMAS", "SHAPES", "Knobs", "generate", "truth_of", "write"]
