"""Filters, sorting and pages by URL."""

import pytest
from django.core.exceptions import BadRequest
from django.http import QueryDict

from carrel.pages.lists import (
    MAX_COUNT,
    ActiveFilter,
    active_filters,
    page_numbers,
    page_of,
    refuse_what_is_not_understood,
    sort_order,
    url_with,
)


def test_filters_are_chips_that_can_be_taken_off() -> None:
    query = QueryDict("backend=north&backend=south&status=&text=a%26b&page=3&sort=took")
    chips = active_filters(
        query, {"text": "Text", "backend": "Backend", "status": "Status"}, {"backend": {"south": "South"}}
    )
    assert chips == [
        ActiveFilter("Text", "a&b", "?backend=north&backend=south&status=&sort=took"),
        ActiveFilter("Backend", "north", "?backend=south&status=&text=a%26b&sort=took"),
        ActiveFilter("Backend", "South", "?backend=north&status=&text=a%26b&sort=took"),
    ]


def test_a_filter_that_is_not_understood_says_so_and_stops_an_export() -> None:
    query = QueryDict("since=soon&until=2026&from=x&by=month&page=2")
    chips = active_filters(
        query, {"since": "From", "until": "To"}, readers={"since": {}.get, "until": bool}, others=("by",)
    )
    assert [(chip.label, chip.is_understood) for chip in chips] == [("From", False), ("To", True), ("from", False)]
    with pytest.raises(BadRequest, match="From: 'soon' is not understood"):
        refuse_what_is_not_understood(chips)
    refuse_what_is_not_understood(chips[1:2])


def test_a_changed_url_begins_at_the_first_page() -> None:
    query = QueryDict("a=1&page=4")
    assert url_with(query, a="2") == "?a=2"
    assert url_with(query, a=None) == "?"
    assert url_with(query, page="5") == "?a=1&page=5"


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", ["-created_at", "-pk"]),
        ("sort=took", ["took_seconds", "pk"]),
        ("sort=-took", ["-took_seconds", "-pk"]),
        ("sort=password", ["-created_at", "-pk"]),
        ("sort=--took", ["-created_at", "-pk"]),
    ],
)
def test_only_columns_of_the_list_sort_it(text: str, order: list[str]) -> None:
    assert sort_order(QueryDict(text), {"took": "took_seconds", "created": "created_at"}, "-created") == order


@pytest.mark.parametrize(("number", "expected"), [("2", 2), ("99", 3), ("x", 1), ("-1", 3), ("", 1)])
def test_a_page_out_of_range_is_the_nearest(number: str, expected: int) -> None:
    page = page_of(QueryDict(f"page={number}"), range(120))
    assert page.number == expected
    assert len(page) <= 50
    assert list(page_numbers(page)) == [1, 2, 3]


def test_a_million_rows_are_not_counted() -> None:
    page = page_of(QueryDict("page=99999"), range(1_000_000))
    assert page.paginator.count == MAX_COUNT
    assert (page.number, page.end_index()) == (MAX_COUNT // 50, MAX_COUNT)
    assert page.paginator.is_cut
    assert not page_of(QueryDict(""), range(MAX_COUNT)).paginator.is_cut
