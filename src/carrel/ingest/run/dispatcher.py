"""Splitting archives into batches, and having each done by some worker, although workers may die."""

import errno
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass

from carrel.ingest.run.pools import Pool, inline
from carrel.ingest.run.values import Batch, BatchResult, Context, Failure, Options
from carrel.ingest.run.worker import work
from carrel.ingest.values import ArchiveRef

_UNKNOWN_SIZE = 100_000
_SMALL = 2_000_000
_LEAST = 1_000_000
_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""The warehouse's disk takes nothing: no other attempt, worker or archive fares better."""
ATTEMPTS = 3
"""So often a batch is tried; then its archives one by one, alone; then an archive is given up for this run."""


def batches(refs: Sequence[ArchiveRef], options: Options, width: int) -> list[Batch]:
    """Batches in the order of `refs`, of at most the options' bytes and archives. Large ones first and ever smaller
    ones after them, so that all workers end at nearly the same time."""
    sizes = [ref.size or _UNKNOWN_SIZE for ref in refs]
    left = sum(sizes)
    made: list[list[ArchiveRef]] = []
    filled = limit = 0
    for ref, size in zip(refs, sizes, strict=True):
        if not made or filled + size > limit or len(made[-1]) >= options.batch_archives:
            made.append([])
            filled, limit = 0, _share(left, options, width)
        made[-1].append(ref)
        filled += size
        left -= size
    return [Batch(number, tuple(each)) for number, each in enumerate(made)]


def _share(left: int, options: Options, width: int) -> int:
    """Bytes of the next batch: half of what a worker would get if all shared what is left."""
    return options.batch_bytes if width == 1 else min(options.batch_bytes, max(left // (2 * width), _LEAST))


@dataclass(slots=True)
class _Try:
    batch: Batch
    attempts: int = 0


class Dispatcher:
    """Runs batches on a pool. `results` yields what becomes of each, in any order."""

    def __init__(self, pool: Pool, context: Context, do: Callable[[Context, Batch], BatchResult] = work):
        self.pool = pool
        self.context = context
        self.do = do
        self._numbers = 0
        self.last_error = ""

    def results(self, todo: Sequence[Batch]) -> Iterator[BatchResult]:
        """Every batch's result. A batch whose workers die again and again is split up; an archive that takes its
        worker down even alone ends as a failure."""
        self._numbers = len(todo)
        pool = self._fitting(todo)
        alone: list[Batch] = []
        waiting = deque(_Try(batch) for batch in todo)
        while waiting:
            with pool.make() as executor:
                broken = yield from self._until_broken(executor, waiting, pool.width)
            for each in broken:
                each.attempts += 1
                if each.attempts < ATTEMPTS:
                    waiting.append(each)
                else:
                    alone += self._singles(each.batch)
        for batch in alone:
            yield self._alone(pool, batch)

    def _fitting(self, todo: Sequence[Batch]) -> Pool:
        small = len(todo) == 1 and sum(ref.size or _UNKNOWN_SIZE for ref in todo[0].refs) < _SMALL
        return inline() if self.pool.starts_slowly and small else self.pool

    def _until_broken(
        self, executor: Executor, waiting: deque[_Try], width: int
    ) -> Generator[BatchResult, None, list[_Try]]:
        """Keeps the workers busy, and no more in their queue than that; returns what broke."""
        running: dict[Future[BatchResult], _Try] = {}
        broken: list[_Try] = []
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < width + 1:
                each = waiting.popleft()
                try:
                    running[executor.submit(self.do, self.context, each.batch)] = each
                except RuntimeError:  # the pool broke a moment ago
                    broken.append(each)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                each = running.pop(future)
                if future.exception() is None:
                    yield future.result()
                else:
                    self._note(future)
                    broken.append(each)
        return broken

    def _note(self, future: "Future[BatchResult]") -> None:
        error = future.exception()
        if isinstance(error, OSError) and error.errno in _HOPELESS:
            raise error
        self.last_error = f"{type(error).__name__}: {error}"

    def _singles(self, batch: Batch) -> list[Batch]:
        made = [Batch(self._numbers + offset, (ref,)) for offset, ref in enumerate(batch.refs)]
        self._numbers += len(made)
        return made

    def _alone(self, pool: Pool, batch: Batch) -> BatchResult:
        with pool.make() as executor:
            future = executor.submit(self.do, self.context, batch)
            error = future.exception()
        if error is None:
            return future.result()
        reason = f"the worker ended while it had this archive ({type(error).__name__}: {error})"
        return BatchResult(failures=(Failure(batch.refs[0], reason),))


def distinct(refs: Iterable[ArchiveRef]) -> list[ArchiveRef]:
    """Each archive once, in order, however often a queue speaks of it."""
    return list({(ref.uri, ref.etag): ref for ref in refs}.values())
