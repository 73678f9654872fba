"""`audit verify`, `audit export [filters]` and `audit anchor`."""

import json
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carrel.review.audit_types import AuditType
from carrel.review.queries.audit import events_of, exported, verify
from carrel.review.queries.crates import crate_fault
from carrel.review.service import anchors
from carrel.review.service.audit import record
from carrel.units.people import login_name

FAULT, UNCHECKED = 1, 2
"""Exit codes: something is wrong; nothing is, and something could not be looked at."""


def day(text: str) -> datetime:
    """Return the beginning, in UTC, of a day such as `2026-12-01`; argparse says so of what is none."""
    return datetime.combine(date.fromisoformat(text), time(), UTC)


class Command(BaseCommand):
    help = "Verify the audit log's hash chain, write an anchor of it, or export it."

    def add_arguments(self, parser: Any) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        check = actions.add_parser("verify", help="hold the chain against itself and the anchors outside the database")
        check.add_argument(
            "--crate", type=Path, metavar="FILE", help="and a release's crate against itself and the chain"
        )
        actions.add_parser("anchor", help="write the chain's head to the file of anchors now")
        export = actions.add_parser("export", help="print events as JSON lines, oldest first")
        export.add_argument("--request", default="", metavar="ID", help="of this release request")
        export.add_argument("--workspace", default="", metavar="NAME", help="of this workspace")
        export.add_argument("--actor", default="", metavar="USERNAME", help="of what this person did")
        export.add_argument("--since", type=day, metavar="DAY", help="from this day on, 2026-12-01 (UTC)")
        export.add_argument("--until", type=day, metavar="DAY", help="up to this day, and of it (UTC)")

    def handle(self, *, action: str, **options: Any) -> None:
        if action == "verify":
            self.verify(options["crate"])
        elif action == "anchor":
            try:
                anchor = anchors.write()
            except OSError as error:
                raise CommandError(f"The anchor cannot be written: {error.strerror}. See AUDIT_ANCHOR_FILE.") from error
            if anchor is None:
                raise CommandError("There is no event to anchor yet.")
            self.stdout.write(f"Event {anchor.number} {anchor.hash} was written to the file of anchors.")
        else:
            self.export(**{name: options[name] for name in ("request", "workspace", "actor", "since", "until")})

    def verify(self, crate: Path | None) -> None:
        """Say what came of it, and leave with an exit code."""
        fault, head = crate_fault(crate) if crate else ("", None)
        if fault:
            raise CommandError(f"The crate is not whole. {fault}", returncode=FAULT)
        report = verify(heads=(head,) if head else ())
        for line in report.unchecked:
            self.stdout.write(line)
        if report.fault:
            raise CommandError(report.fault, returncode=FAULT)
        self.stdout.write(
            f"{report.events} events: each follows the one before. {report.heads - bool(head)} anchors fit."
        )
        if head:
            self.stdout.write(f"The crate is whole, and event {head.number} is the one that it names.")
        if report.unchecked:
            sys.exit(UNCHECKED)

    def export(self, *, until: datetime | None, **filters: Any) -> None:
        """Print the events; that they were exported is one of them."""
        asked = {"until": until, **filters}
        extra = {name: str(value) for name, value in asked.items() if value}
        record(AuditType.AUDIT_EXPORT, actor=f"command line: {login_name()}", extra=extra)
        events = events_of(until=until + timedelta(days=1) if until else None, **filters)
        for event in exported(events):
            self.stdout.write(json.dumps(event, ensure_ascii=False))
