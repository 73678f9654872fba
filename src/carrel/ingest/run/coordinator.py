"""A run: the archives that are to be taken, spread over workers; what came of them decided, written and committed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from carrel.ingest.mapping.partitioning import PartitionsChanged, partition_conflicts
from carrel.ingest.run.building import Builder, Built
from carrel.ingest.run.dispatcher import Dispatcher, batches, distinct
from carrel.ingest.run.merging import Settled, settled
from carrel.ingest.run.pools import Pool
from carrel.ingest.run.rejections import amended, refused
from carrel.ingest.run.report import Report, counted
from carrel.ingest.run.source_problems import of_problems, ref_of
from carrel.ingest.run.unmapped import count_unmapped
from carrel.ingest.run.values import BatchResult, Context, Options
from carrel.ingest.schemas import Schemas
from carrel.ingest.sources import Source, SourceProblem
from carrel.ingest.store import (
    RunNumber,
    WarehouseStorage,
    apply,
    begin,
    catalog,
    decide,
    ensure_ours,
    finish,
    is_held,
    run_key,
)
from carrel.ingest.store.ledger import CURRENT, Ledger, archive_key, skipped_files, to_arrow
from carrel.ingest.store.raw_files import is_kept, keep
from carrel.ingest.tables import TableChange
from carrel.ingest.values import ArchiveRef
from carrel.telemetry import faults

Progress = Callable[[int, int], None]
"""(archives done, archives to do)"""


def no_progress(done: int, todo: int) -> None:
    """For whoever does not look."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run needs to be told."""

    warehouse: str
    source: Source
    schemas: Schemas
    pool: Pool
    options: Options = field(default_factory=Options)
    replay: Callable[[ArchiveRef], bool] | None = None
    """Take again, from the source, archives that the ledger knows and that this says yes to; and nothing else."""


class Coordinator:
    """Takes what a source has that the ledger does not know; under the lock that `operations.ingestion` holds."""

    def __init__(self, setting: Setting, storage: WarehouseStorage, progress: Progress):
        self.setting = setting
        self.storage = storage
        self.progress = progress
        self.began = time.monotonic()

    def run(self) -> Report:
        """Run once; only what is written down in the plan of the run happened."""
        ledger = Ledger(self.storage)
        listed = distinct(self.setting.source.list())
        problems = () if self.setting.replay else self.setting.source.problems()
        known = ledger.known([*listed, *(ref_of(each) for each in problems)])
        faults.point("ingest.listed")
        todo = [ref for ref in listed if self._wants(ref, known)]
        new = [each for each in problems if archive_key(ref_of(each)) not in known]
        in_ledger = sum(archive_key(ref) in known for ref in listed)
        report = Report(None, len(listed), in_ledger, is_replay=self.setting.replay is not None)
        if todo or new or self._is_named_otherwise():
            report = self._take(todo, new, ledger, report)
        done = [ref for ref in listed if archive_key(ref) in known] + todo
        self._acknowledge(done, report)
        return report

    def _is_named_otherwise(self) -> bool:
        """Whether the mapping's `naming` of a dataset is another than its last run's."""
        options = self.setting.schemas.mapping.options
        entries = catalog.load_all(self.storage).items()
        return any(entry.naming != options(dataset).naming for dataset, entry in entries)

    def _wants(self, ref: ArchiveRef, known: frozenset[int]) -> bool:
        is_known = archive_key(ref) in known
        return is_known and self.setting.replay(ref) if self.setting.replay else not is_known

    def _take(self, todo: list[ArchiveRef], problems: list[SourceProblem], ledger: Ledger, report: Report) -> Report:
        entries = catalog.load_all(self.storage)
        partitioned = {dataset: entry.partition_by for dataset, entry in entries.items()}
        for problem in partition_conflicts(self.setting.schemas.mapping, partitioned):
            raise PartitionsChanged(problem)
        number = begin(self.storage)
        options = replace(self.setting.options, raw_json=self._keeps_raw_json())
        context = Context(
            warehouse=self.setting.warehouse,
            run_id=number.run_id,
            source=self.setting.source,
            schemas=self.setting.schemas,
            options=options,
            known={dataset: entry.schema for dataset, entry in entries.items()},
            ledger_version=ledger.version,
            tombstones=ledger.tombstones(),
            replayed=self.setting.replay is not None,
        )
        results = [*self._results(todo, context), of_problems(problems, number.run_id)]
        ensure_ours(self.storage, number)
        faults.point("ingest.batches_done")
        gone = refused(self.storage, self.setting.schemas, entries, results)
        outcome = settled(list(amended(results, gone, options.reject_records)))
        replayed = frozenset(line.archive_key for line in outcome.lines) if self.setting.replay else frozenset()
        built = Builder(self.storage, number, self.setting.schemas, entries, replayed, gone.files).built(outcome)
        report = self._reported(report, number, results, outcome, built)
        self.storage.write(run_key(number.run_id, "report.json"), report.stored())
        decide(self.storage, built.plan)
        apply(self.storage, built.plan)
        report = replace(report, seconds=time.monotonic() - self.began)
        self.storage.write(run_key(number.run_id, "report.json"), report.stored())
        finish(self.storage, built.plan)
        return report

    def _keeps_raw_json(self) -> bool:
        if self.setting.options.raw_json:
            keep(self.storage)
        return is_kept(self.storage)

    def _results(self, todo: list[ArchiveRef], context: Context) -> list[BatchResult]:
        dispatcher = Dispatcher(self.setting.pool, context)
        results: list[BatchResult] = []
        count = 0
        for result in dispatcher.results(batches(todo, self.setting.options, self.setting.pool.width)):
            results.append(result)
            count += len(result.lines) + len(result.failures)
            self.progress(count, len(todo))
            if not is_held(self.storage):
                break
        return results

    def _reported(
        self, report: Report, number: RunNumber, results: list[BatchResult], outcome: Settled, built: Built
    ) -> Report:
        first = (held.entry.faults[0] for held in built.held)
        return replace(
            report,
            run_id=number.run_id,
            dispositions=counted(line.entry.disposition.value for line in built.lines),
            quarantined=counted(f"{fault.stage}/{fault.keyword}" for fault in first),
            rows=built.rows,
            raw_json=built.raw,
            changes=[in_words(change) for change in built.changes],
            failures=[failure.reason for failure in outcome.failures],
            not_fetched=[archive_key(failure.ref) for failure in outcome.failures],
            repeated_keys=sum(
                len(line.entry.repeated_keys) for line in built.lines if line.entry.disposition in CURRENT
            ),
            unmapped_files=count_unmapped(skipped_files(to_arrow(built.lines)), self.setting.schemas.mapping),
            replaced=len(outcome.priors),
            bytes_read=sum(result.bytes_read for result in results),
            json_bytes=sum(result.json_bytes for result in results),
            seconds=time.monotonic() - self.began,
        )

    def _acknowledge(self, done: list[ArchiveRef], report: Report) -> None:
        """All but what could not be fetched; after the ledger has them, so that none is lost between."""
        failed = Ledger(self.storage).known(done) if report.failures else None
        taken = [ref for ref in done if failed is None or archive_key(ref) in failed]
        self.setting.source.acknowledge(taken)
        faults.point("ingest.acknowledged")


def in_words(change: TableChange) -> str:
    """One change of a schema, for people."""
    place = "/" + "/".join(change.path) if change.path else ""
    place += f" ({change.role})" if change.role else ""
    fromto = f": {change.before} to {change.after}" if change.before else (f": {change.after}" if change.after else "")
    return f"{change.table}{place} {change.what.value.replace('_', ' ')}{fromto}"
