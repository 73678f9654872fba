"""Raw JSON as the ledger names it, beside what lies in the warehouse."""

from collections.abc import Iterable, Iterator

from carrel.ingest.store import WarehouseStorage
from carrel.ingest.store.ledger import Line, current
from carrel.ingest.store.raw_files import RAW_JSON, is_kept


def current_lines(lines: Iterable[Line]) -> list[Line]:
    """Of each record the line whose rows, and raw JSON, are there now; of withdrawn ones and the like none."""
    records: dict[int, list[Line]] = {}
    for line in lines:
        records.setdefault(line.record_key, []).append(line)
    return [latest for group in records.values() if (latest := current(group))]


def raw_json_differences(storage: WarehouseStorage, lines: Iterable[Line]) -> Iterator[tuple[str, str | None, str]]:
    """("missing", record, key) of what the ledger names and nobody finds, ("extra", None, key) of the contrary."""
    if not is_kept(storage):
        return
    start = f"{RAW_JSON}/"
    existing = {key.removeprefix(start) for key in storage.keys(start) if key.endswith(".ndjson")}
    expected = {key: line.entry.record_id for line in current_lines(lines) for key in line.raw}
    yield from (("missing", record, key) for key, record in sorted(expected.items()) if key not in existing)
    yield from (("extra", None, key) for key in sorted(existing - expected.keys()))
