"""Replay: archives are taken again from the source, after a schema, mapping or rule was repaired."""

from dataclasses import replace

from carrel.ingest.operations.inspection import QuarantineFilter, quarantine_rows
from carrel.ingest.run import Setting
from carrel.ingest.store import open_storage
from carrel.ingest.store.ledger import archive_key


class NoSuchLine(Exception):
    """Lines of quarantine were asked for by id that are not there, or do not fit the other conditions."""


def choose_archives(setting: Setting, chosen: QuarantineFilter, everything: bool = False) -> Setting:
    """Make the setting of a run that replays archives with lines in quarantine that `chosen` means, or every archive
    of the source. Reads the quarantine; raises NoSuchLine."""
    rows = quarantine_rows(open_storage(setting.warehouse), chosen)
    if unknown := sorted({*chosen.ids} - {row["id"] for row in rows}):
        raise NoSuchLine(
            f"quarantine has no line {', '.join(unknown)} that fits; `carrel ingest quarantine list` lists them"
        )
    keys = {row["archive_key"] for row in rows}
    return replace(setting, replay=lambda ref: everything or archive_key(ref) in keys)
