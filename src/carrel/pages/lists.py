"""Lists by URL: filters that can be taken off, sorting by a column's head, pages of 50. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import BadRequest
from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.utils.functional import cached_property

PAGE_SIZE = 50
MAX_COUNT = 10_000
"""Rows beyond these are neither counted nor paged to: nobody goes through a million, and counting them takes long."""
PAGE_PARAMETER = "page"
SORT_PARAMETER = "sort"
MAX_UNKNOWN = 10
"""Parameters that are named as not understood."""


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """One filter of a list as a chip: `Backend: north`, with the URL of the same list without it."""

    label: str
    value: str
    url_without: str
    is_understood: bool = True
    """False: the list is as if it was not there, which the chip says."""


def url_with(query: QueryDict, **changes: str | None) -> str:
    """Return `?...` with some parameters changed (None takes one off); the page goes back to the first."""
    changed = query.copy()
    changed.pop(PAGE_PARAMETER, None)
    for name, value in changes.items():
        changed.pop(name, None)
        if value is not None:
            changed[name] = value
    return f"?{changed.urlencode()}" if changed else "?"


def active_filters(
    query: QueryDict,
    labels: Mapping[str, str],
    words: Mapping[str, Mapping[str, str]] | None = None,
    *,
    readers: Mapping[str, Callable[[str], object]] | None = None,
    others: Collection[str] | None = None,
) -> list[ActiveFilter]:
    """Return the filters that a URL sets, in the order of `labels` (parameter to label).

    `words`: for a parameter, what its values are called. A parameter may stand several times, each is a chip.
    `readers`: for a parameter, what is made of a value; nothing: it was not understood. `others`: parameters that
    are no filters; where they are given, any further one is a filter that was not understood.
    """
    chips = []
    unknown = [] if others is None else [name for name in query if name not in {*labels, *others, PAGE_PARAMETER}]
    for name, label in {**labels, **{name: name for name in unknown[:MAX_UNKNOWN]}}.items():
        for value in filter(None, query.getlist(name)):
            rest = query.copy()
            rest.pop(PAGE_PARAMETER, None)
            rest.setlist(name, [other for other in query.getlist(name) if other != value])
            spoken = (words or {}).get(name, {}).get(value, value)
            is_understood = name not in unknown and bool((readers or {}).get(name, bool)(value))
            chips.append(ActiveFilter(label, spoken, f"?{rest.urlencode()}", is_understood))
    return chips


def refuse_what_is_not_understood(filters: Iterable[ActiveFilter]) -> None:
    """Raise BadRequest for an export with a filter that filters nothing: it would take out more than was meant."""
    if unclear := next((chip for chip in filters if not chip.is_understood), None):
        raise BadRequest(f"{unclear.label}: {unclear.value[:100]!r} is not understood.")


def sort_order(query: QueryDict, fields: Mapping[str, str], default: str) -> list[str]:
    """Return the arguments of `order_by()` for `?sort=took` or `?sort=-took`; anything else is the default.

    `fields`: from a column's name in the URL to the model's field. `default`: such a name, with its sign.
    """
    requested = query.get(SORT_PARAMETER, "")
    choice = requested if requested.removeprefix("-") in fields else default
    sign = "-" if choice.startswith("-") else ""
    primary_key = "-pk" if sign else "pk"
    return [sign + fields[choice.removeprefix("-")], primary_key]


class BoundedPaginator(Paginator):
    """Counts up to MAX_COUNT; `is_cut` says that there are more."""

    @cached_property
    def _counted(self) -> int:
        return Paginator(self.object_list[: MAX_COUNT + 1], self.per_page).count

    @property
    def is_cut(self) -> bool:
        return self._counted > MAX_COUNT

    @property
    def count(self) -> int:
        return min(self._counted, MAX_COUNT)


def page_of(query: QueryDict, items: Any, per_page: int = PAGE_SIZE) -> Page[Any]:
    """Return the page that the URL asks for; one that is out of range or no number is the nearest there is."""
    return BoundedPaginator(items, per_page).get_page(query.get(PAGE_PARAMETER))


def page_numbers(page: Page[Any]) -> Iterable[int | str]:
    """Return the page numbers to link to, with `…` for those left out."""
    return page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
