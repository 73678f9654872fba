"""What a source holds and that is no archive: it goes to quarantine once, so that it does not vanish."""

import hashlib
from collections.abc import Iterable

from carrel.ingest.run.values import BatchResult
from carrel.ingest.sources import SourceProblem
from carrel.ingest.store.ledger import Line
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.values import ArchiveRef, Disposition, LedgerEntry, QuarantineEntry


def ref_of(problem: SourceProblem) -> ArchiveRef:
    """As if it had been listed; the same problem at the same place is the same."""
    return ArchiveRef(problem.uri, _digest(problem))


def of_problems(problems: Iterable[SourceProblem], run_id: str) -> BatchResult:
    """Their ledger and quarantine lines."""
    found = list(problems)
    return BatchResult(
        lines=tuple(_line(each, run_id) for each in found), held=tuple(_held(each, run_id) for each in found)
    )


def _digest(problem: SourceProblem) -> str:
    fault = problem.fault
    text = "\n".join((problem.uri, fault.stage, fault.keyword, fault.message))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _line(problem: SourceProblem, run_id: str) -> Line:
    digest = _digest(problem)
    return Line(
        LedgerEntry(
            record_id=None,
            archive_uri=problem.uri,
            archive_etag=digest,
            content_hash=digest,
            disposition=Disposition.UNREADABLE,
            exported_on=None,
            healthcode=None,
        ),
        "",
        run_id,
    )


def _held(problem: SourceProblem, run_id: str) -> QuarantineLine:
    digest = _digest(problem)
    return QuarantineLine(
        QuarantineEntry(
            record_id=None,
            archive_uri=problem.uri,
            archive_etag=digest,
            source_file=None,
            content_hash=digest,
            schema_id=None,
            faults=(problem.fault,),
        ),
        run_id,
    )
