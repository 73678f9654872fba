"""Which actions' outputs come from data that has changed since, and by way of which other actions. Pure.

It is told, and changes nothing: no status, no plan. Whoever wants the new data asks for the actions again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Moved = Mapping[str, Sequence[str | None]]
"""Table -> (its version when the outputs were made, its version now), of those that differ; None: not there."""


@dataclass(frozen=True, slots=True)
class DataChange:
    """What one action's outputs lack. `tables` it read itself; `through`: actions it needs, directly or not, that did.

    `unknown` says why nothing could be compared.
    """

    tables: Moved = field(default_factory=dict)
    through: tuple[str, ...] = ()
    unknown: str = ""

    def words(self) -> str:
        """ "data changed since: Motion_v1 4 -> 5"; empty when nothing did."""
        tables = ", ".join(f"{name} {old or 'not there'} -> {new or 'not there'}" for name, (old, new) in self._sorted)
        sentences = [
            (tables, f"data changed since: {tables}"),
            (self.through, f"data of {', '.join(self.through)} changed since"),
            (self.unknown, f"whether its data changed cannot be told: {self.unknown}"),
        ]
        return "; ".join(sentence for of, sentence in sentences if of)

    def as_json(self) -> dict[str, Any]:
        return {
            "tables": {name: list(pair) for name, pair in self._sorted},
            "through": list(self.through),
            "unknown": self.unknown,
        }

    @property
    def _sorted(self) -> list[tuple[str, Sequence[str | None]]]:
        return sorted(self.tables.items())


def data_changes(own: Mapping[str, DataChange], needs: Mapping[str, Sequence[str]]) -> dict[str, DataChange]:
    """`own`, of the actions that read a database, handed on to all that need them; only actions with something to tell.

    `needs`: action -> the actions it needs, of the whole pipeline.
    """
    changed = {action for action, change in own.items() if change.tables}
    changes = {}
    for action in needs:
        of_itself = own.get(action, DataChange())
        through = tuple(sorted(_needed(action, needs) & changed))
        change = DataChange(of_itself.tables, through, of_itself.unknown)
        if change.words():
            changes[action] = change
    return changes


def _needed(action: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """All that `action` needs, directly or not."""
    needed: set[str] = set()
    todo = list(needs[action])
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += needs.get(name, ())
    return needed
