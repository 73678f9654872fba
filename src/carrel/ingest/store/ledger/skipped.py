"""Files of archives that are in no dataset, as the ledger names them."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.store.ledger.lines import CURRENT
from carrel.ingest.values import Disposition

COLUMNS = ["record_key", "disposition", "exportedon", "content_hash", "skipped"]
"""What `skipped_files` needs of the ledger."""
_LOOKED_INTO = [*CURRENT, Disposition.QUARANTINED, Disposition.UNREADABLE, Disposition.EMPTY]


def skipped_files(lines: pa.Table) -> Counter[str]:
    """Path of a skipped file -> how many records have such a file, of lines of the ledger.

    Of several exports of a record one counts: that whose rows are in the tables, else the last that was looked into.
    """
    lines = lines.select(COLUMNS).filter(pc.is_in(lines.column("disposition"), pa.array(_LOOKED_INTO, pa.string())))
    lines = lines.append_column("is_current", pc.is_in(lines.column("disposition"), pa.array([*CURRENT], pa.string())))
    lines = lines.append_column("has_time", pc.is_valid(lines.column("exportedon")))  # without one it is the earliest
    keys = ("is_current", "has_time", "exportedon", "content_hash")
    by_order = pc.sort_indices(lines, sort_keys=[(name, "ascending") for name in keys])
    ordered = lines.take(by_order)
    ordered = ordered.append_column("position", pa.array(range(len(ordered)), pa.int64()))
    last = ordered.group_by("record_key").aggregate([("position", "max")]).column("position_max")
    counts = pc.value_counts(pc.list_flatten(ordered.take(last).column("skipped")))
    return Counter({row["values"]: row["counts"] for row in counts.to_pylist()})
