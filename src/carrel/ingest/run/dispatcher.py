"""Splitting archives into batches, and having each done by some worker, although workers may die."""

import errno
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass

from carrel.ingest.run.pools import Pool, inline
from carrel.ingest.run.values import Batch, BatchResult, Context, Failure, IngestOptions
from carrel.ingest.run.worker import work
from carrel.ingest.values import ArchiveRef

_UNKNOWN_SIZE = 100_000
"""Bytes that an archive is taken to have whose source does not say."""
_SMALL = 2_000_000
"""A single batch of fewer bytes is not worth starting a pool for."""
_LEAST = 1_000_000
"""Bytes of the smallest batches."""
_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""The warehouse's disk takes nothing: no other attempt, worker or archive fares better."""
ATTEMPTS = 3
"""So often a batch is tried; then its archives one by one, alone; then an archive is given up for this run."""


def split_into_batches(refs: Sequence[ArchiveRef], options: IngestOptions, width: int) -> list[Batch]:
    """Batches in the order of `refs`, of at most the options' bytes and archives. Large ones first and ever smaller
    ones after them, so that all workers end at nearly the same time."""
    sizes = [ref.size or _UNKNOWN_SIZE for ref in refs]
    remaining = sum(sizes)
    groups: list[list[ArchiveRef]] = []
    filled = limit = 0
    for ref, size in zip(refs, sizes, strict=True):
        if not groups or filled + size > limit or len(groups[-1]) >= options.batch_archives:
            groups.append([])
            # Half of what a worker would get if all shared what remains.
            share = options.batch_bytes if width == 1 else max(remaining // (2 * width), _LEAST)
            filled, limit = 0, min(options.batch_bytes, share)
        groups[-1].append(ref)
        filled += size
        remaining -= size
    return [Batch(number, tuple(group)) for number, group in enumerate(groups)]


@dataclass(slots=True)
class _Attempts:
    """A batch, and how often its worker broke."""

    batch: Batch
    broken: int = 0


class Dispatcher:
    """Runs batches on a pool. `results` yields what becomes of each, in any order."""

    def __init__(self, pool: Pool, context: Context, do: Callable[[Context, Batch], BatchResult] = work):
        self.pool = pool
        self.context = context
        self.do = do
        self.last_error = ""

    def results(self, batches: Sequence[Batch]) -> Iterator[BatchResult]:
        """Every batch's result. A batch whose workers die again and again is split up; an archive that takes its
        worker down even alone ends as a failure."""
        is_small = len(batches) == 1 and sum(ref.size or _UNKNOWN_SIZE for ref in batches[0].refs) < _SMALL
        pool = inline() if self.pool.starts_slowly and is_small else self.pool
        doubtful: list[ArchiveRef] = []
        waiting = deque(_Attempts(batch) for batch in batches)
        while waiting:
            with pool.make() as executor:
                broken = yield from self._until_broken(executor, waiting, pool.width)
            for attempts in broken:
                attempts.broken += 1
                if attempts.broken < ATTEMPTS:
                    waiting.append(attempts)
                else:
                    doubtful += attempts.batch.refs
        for number, ref in enumerate(doubtful, start=len(batches)):
            yield self._run_alone(pool, Batch(number, (ref,)))

    def _until_broken(
        self, executor: Executor, waiting: deque[_Attempts], width: int
    ) -> Generator[BatchResult, None, list[_Attempts]]:
        """Keeps the workers busy, and no more in their queue than that; returns what broke."""
        running: dict[Future[BatchResult], _Attempts] = {}
        broken: list[_Attempts] = []
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < width + 1:
                attempts = waiting.popleft()
                try:
                    running[executor.submit(self.do, self.context, attempts.batch)] = attempts
                except RuntimeError:  # the pool broke a moment ago
                    broken.append(attempts)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                attempts = running.pop(future)
                error = future.exception()
                if error is None:
                    yield future.result()
                    continue
                if isinstance(error, OSError) and error.errno in _HOPELESS:
                    raise error
                self.last_error = f"{type(error).__name__}: {error}"
                broken.append(attempts)
        return broken

    def _run_alone(self, pool: Pool, batch: Batch) -> BatchResult:
        with pool.make() as executor:
            future = executor.submit(self.do, self.context, batch)
            error = future.exception()
        if error is None:
            return future.result()
        reason = f"the worker ended while it had this archive ({type(error).__name__}: {error})"
        return BatchResult(failures=(Failure(batch.refs[0], reason),))


def distinct(refs: Iterable[ArchiveRef]) -> list[ArchiveRef]:
    """The archives in order, each once however often a queue speaks of it."""
    return list({(ref.uri, ref.etag): ref for ref in refs}.values())
