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
        instances = _instances_of(self)
        if instances.resolver is None:
            instances.resolver = Resolver(self.mapping, self.library)
        return instances.resolver

    def checker(self) -> Checker:
        """This process's checker; schemas are compiled when first used, once per process."""
        instances = _instances_of(self)
        if instances.checker is None:
            instances.checker = Checker(self.mapping, self.library)
        return instances.checker


@dataclass(slots=True)
class _Instances:
    """What one process made for a mapping and a library."""

    mapping: Mapping
    resolver: Resolver | None = None
    checker: Checker | None = None


_MOST = 4
"""So many libraries, and mappings of each, are remembered, so that a long-lived worker does not grow."""
_per_process: OrderedDict[str, list[_Instances]] = OrderedDict()


def _instances_of(schemas: Schemas) -> _Instances:
    """What this process made for these schemas before, or a new entry for it."""
    of_library = _per_process.setdefault(schemas.library.digest, [])
    _per_process.move_to_end(schemas.library.digest)
    for instances in of_library:
        if instances.mapping == schemas.mapping:
            return instances
    of_library.append(_Instances(schemas.mapping))
    del of_library[:-_MOST]
    while len(_per_process) > _MOST:
        _per_process.popitem(last=False)
    return of_library[-1]
