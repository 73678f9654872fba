"""What was not taken, why, and where its bytes are."""

from carrel.ingest.quarantine.lines import SCHEMA, Held, to_arrow

__all__ = ["SCHEMA", "Held", "to_arrow"]
