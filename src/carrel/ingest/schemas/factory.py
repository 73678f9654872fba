"""The mapping and the schemas as workers get them: sent once, made into a resolver and a checker in each process."""

from collections import OrderedDict
from dataclasses import dataclass, field

from carrel.ingest.mapping.model import Mapping
from carrel.ingest.schemas.checker import Checker
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Schemas:
    """The picklable factory for workers: it crosses the process border, and each process makes (and keeps) its own
    resolver and checker.
    """

    mapping: Mapping
    library: Library = field(repr=False)

    def resolver(self) -> Resolver:
        """This process's resolver."""
        kept = _kept(self)
        if kept.resolver is None:
            kept.resolver = Resolver(self.mapping, self.library)
        return kept.resolver

    def checker(self) -> Checker:
        """This process's checker; schemas are compiled when first used, once per process."""
        kept = _kept(self)
        if kept.checker is None:
            kept.checker = Checker(self.mapping, self.library)
        return kept.checker


@dataclass(slots=True)
class _Kept:
    mapping: Mapping
    resolver: Resolver | None = None
    checker: Checker | None = None


_MAX_KEPT = 4
_per_process: OrderedDict[str, list[_Kept]] = OrderedDict()


def _kept(schemas: Schemas) -> _Kept:
    """What this process made for these schemas before. A few are kept, so that a long-lived worker does not grow."""
    mates = _per_process.setdefault(schemas.library.digest, [])
    _per_process.move_to_end(schemas.library.digest)
    for each in mates:
        if each.mapping == schemas.mapping:
            return each
    mates.append(_Kept(schemas.mapping))
    del mates[:-_MAX_KEPT]
    while len(_per_process) > _MAX_KEPT:
        _per_process.popitem(last=False)
    return mates[-1]
