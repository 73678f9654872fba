"""What a withdrawal removed, and what a search found afterwards, in words for the file of the request."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from carrel.ingest.store import LEDGER, QUARANTINE, WarehouseStorage, run_key

KIND = "withdraw"


@dataclass(frozen=True, slots=True)
class TableRemoval:
    """What left one table. `rows`: taken out of its current version; `deleted`: old data files deleted for good.

    `before`: versions lower than this one can no longer be read; 0: all can.
    """

    table: str
    rows: int
    rewritten: int
    deleted: int
    before: int

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The cells of this table's line in the proof, as people read them."""
        name = {LEDGER: "ledger (lines blanked)", QUARANTINE: "quarantine"}.get(self.table, self.table)
        unreadable = "-" if self.before < 1 else f"versions 0 to {self.before - 1}"
        if self.before == 1:
            unreadable = "version 0"
        return name, f"{self.rows:,}", str(self.rewritten), str(self.deleted), unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What one run removed. It names nobody: `asked` has tombstones, each with the records that it came to."""

    run_id: str
    asked: Mapping[str, int]
    archives: int
    """Ledger lines that lost all that says whose they were."""
    tables: tuple[TableRemoval, ...] = ()
    raw_json: int = 0
    """Files of raw JSON that were deleted."""
    at: str = ""
    """When, in UTC."""

    @property
    def rows(self) -> int:
        """How many rows left data tables and archived copies."""
        return sum(removal.rows for removal in self.tables if removal.table not in (LEDGER, QUARANTINE))

    @property
    def rewritten(self) -> int:
        """How many files of all tables were written anew."""
        return sum(removal.rewritten for removal in self.tables)

    @property
    def deleted(self) -> int:
        """How many old files of all tables were deleted."""
        return sum(removal.deleted for removal in self.tables)

    def write(self, storage: WarehouseStorage) -> None:
        """Keep it as the report of its run, so that the same withdrawal can be proved again."""
        data = json.dumps({"kind": KIND, **asdict(self)}, indent=1).encode()
        storage.write(run_key(self.run_id, "report.json"), data)

    @classmethod
    def read(cls, storage: WarehouseStorage, run_id: str) -> "Removal | None":
        """What `write` wrote; None when that run was no withdrawal."""
        fields: dict[str, Any] = json.loads(storage.read(run_key(run_id, "report.json")) or b"{}")
        if fields.pop("kind", None) != KIND:
            return None
        return cls(**{**fields, "tables": tuple(TableRemoval(**table_fields) for table_fields in fields["tables"])})

    def lines(self) -> Iterator[str]:
        """Yield the lines that people read."""
        start = f"Withdrawal {self.run_id}, {self.at}: "
        if not self.tables and not self.raw_json:
            yield start + "the warehouse held nothing of these."
            return
        yield start + f"{self.what}; removed:"
        yield from self.counts()

    @property
    def what(self) -> str:
        """The numbers of records and archives, in words."""
        return f"{_many(sum(self.asked.values()), 'record')} in {_many(self.archives, 'archive')}"

    def counts(self) -> Iterator[str]:
        """Yield the lines that say what goes from each table."""
        rows = [("table", "rows", "files rewritten", "old files deleted", "no longer readable")]
        rows += [table.cells for table in self.tables]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for first, *others in rows:
            numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
            yield "  " + "  ".join([first.ljust(widths[0]), *numbers])
        if self.raw_json:
            yield f"  raw JSON: {_many(self.raw_json, 'file')} deleted"


@dataclass(frozen=True, slots=True)
class WithdrawalPreview:
    """What a withdrawal would remove, as things are now. `unknown`: codes that nothing in the warehouse has;
    `withdrawn`: those that were withdrawn before."""

    removal: Removal
    unknown: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    is_open: bool = False
    """Another ingest is at work, or was interrupted: the counts may change."""

    def lines(self) -> Iterator[str]:
        """Yield the lines that people read."""
        removal = self.removal
        if not removal.tables and not removal.raw_json:
            yield "The warehouse holds nothing of these."
        else:
            yield f"To be removed: {removal.what}"
            yield from removal.counts()
        for code in self.withdrawn:
            yield f"Withdrawn before: {code}"
        for code in self.unknown:
            yield f"NOT KNOWN HERE: {code} (mistyped? Else archives of it that come later are not taken)"
        if self.is_open:
            yield "Another ingest is at work, or was interrupted and is finished first: these counts may change."


def now_in_utc() -> str:
    """The present time for `at`, to the second."""
    return datetime.now(UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was removed, now and in earlier withdrawals of the same codes, and what a search through every file of the
    warehouse found afterwards. `holding`: files that still name somebody."""

    asked: Mapping[str, int]
    """tombstone -> records that it came to, now or when it was withdrawn before"""
    removed: Removal | None
    """By this withdrawal; None: there was nothing left to remove."""
    earlier: tuple[Removal, ...]
    files_searched: int
    cells_searched: int
    codes_searched: int
    holding: tuple[str, ...] = ()
    at: str = field(default_factory=now_in_utc)
    """When the search was."""
    finished: str | None = None
    """An interrupted withdrawal of other codes, which this one finished first."""
    old_versions: str = ""
    """What is to be said of old versions in the warehouse's bucket, which no search can see."""

    @property
    def run_id(self) -> str | None:
        """The run that removed something now; None when nothing was left to remove."""
        return self.removed.run_id if self.removed else None

    @property
    def records(self) -> int:
        """How many records were asked for; one that two codes come to counts twice."""
        return sum(self.asked.values())

    @property
    def rows(self) -> int:
        """How many rows were removed, now and before."""
        return sum(removal.rows for removal in self._removals)

    @property
    def _removals(self) -> tuple[Removal, ...]:
        return (*self.earlier, *((self.removed,) if self.removed else ()))

    def text(self) -> str:
        """For the file of the request. It holds no code, only the SHA-256 of each."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.finished:
            yield f"Finished {self.finished} first, an interrupted withdrawal of other codes: repeat it for its proof."
        for removal in self.earlier:
            yield from removal.lines()
        if self.earlier and not self.removed:
            yield "That was done before; now there was nothing left to remove."
        if self.removed:
            yield from self.removed.lines()
        yield "Archives of these are never taken again (SHA-256 of the code; compare: printf %s CODE | sha256sum):"
        for tombstone, records in self.asked.items():
            what = _many(records, "record") if records else "no record: none is known, or the code is mistyped"
            yield f"  {tombstone.replace(':', ' ')}  {what}"
        yield from self._of_search()
        if self.old_versions:
            yield self.old_versions

    def _of_search(self) -> Iterator[str]:
        searched = f"{_many(self.files_searched, 'file')} and {_many(self.cells_searched, 'text')} in tables"
        start = f"Searched on {self.at}: {searched}, for {_many(self.codes_searched, 'code')}: "
        if not self.holding:
            yield start + "no file of the warehouse holds any of them."
            return
        yield start + "STILL FOUND in"
        yield from (f"  {name}" for name in self.holding)
        yield "Look at these: what Carrel did not write stays, and a code may also be part of somebody else's text."


def old_versions_note(storage: WarehouseStorage) -> str:
    """The text of `Proof.old_versions`; empty where there can be no old versions."""
    keeps = storage.keeps_old()
    if keeps is False:
        return ""
    start = (
        "THE BUCKET KEEPS OLD VERSIONS: what was deleted can be read there until they are forgotten"
        if keeps
        else "Whether the bucket keeps old versions could not be asked (s3:GetBucketVersioning). If so, forget them"
    )
    return f"{start}, by\n  python3 -m carrel.ingest.aws.versions {storage.url} --forget"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
