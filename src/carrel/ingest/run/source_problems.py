"""What a source holds and that is no archive: it goes to quarantine once, so that it does not vanish."""

import hashlib
from collections.abc import Iterable

from carrel.ingest.run.values import BatchResult
from carrel.ingest.sources import SourceProblem
from carrel.ingest.store.ledger import Line
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.values import ArchiveRef, Disposition, LedgerEntry, QuarantineEntry


def problem_ref(problem: SourceProblem) -> ArchiveRef:
    """The problem as if it had been listed; the same problem at the same place is the same."""
    fault = problem.fault
    text = "\n".join((problem.uri, fault.stage, fault.keyword, fault.message))
    return ArchiveRef(problem.uri, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def problems_result(problems: Iterable[SourceProblem], run_id: str) -> BatchResult:
    """The ledger and quarantine lines of problems, as if a worker had met them."""
    lines, quarantine = [], []
    for problem in problems:
        digest = problem_ref(problem).etag
        entry = LedgerEntry(
            record_id=None,
            archive_uri=problem.uri,
            archive_etag=digest,
            content_hash=digest,
            disposition=Disposition.UNREADABLE,
            exported_on=None,
            healthcode=None,
        )
        lines.append(Line(entry, "", run_id))
        quarantine_entry = QuarantineEntry(
            record_id=None,
            archive_uri=problem.uri,
            archive_etag=digest,
            source_file=None,
            content_hash=digest,
            schema_id=None,
            faults=(problem.fault,),
        )
        quarantine.append(QuarantineLine(quarantine_entry, run_id))
    return BatchResult(lines=tuple(lines), quarantine=tuple(quarantine))
