"""A view, as a table's property tells of it."""

import pytest

from carrel.warehouse.views import TableView, may_be_view_of, root_name

VIEW = TableView("dataset_motion_v1", "Motion_v1", '"a" AS "ä"')


def test_a_view_is_what_its_property_says():
    assert VIEW.as_property() == '{"name": "dataset_motion_v1", "select": "\\"a\\" AS \\"ä\\""}'
    assert TableView.of_property("Motion_v1", VIEW.as_property()) == VIEW
    assert TableView.of_property("Motion_v1", "") is None
    assert TableView.of_property("Motion_v1", None) is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"name": "a"}', "7", '"a"', "null"])
def test_a_damaged_property_is_a_fault(text):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        TableView.of_property("Motion_v1", text)


def test_names_are_quoted_in_its_statement():
    view = TableView('a"b', "t", "*")
    assert view.sql() == 'CREATE TEMP VIEW "a""b" AS SELECT * FROM "t"'
    assert view.sql('t"_1') == 'CREATE TEMP VIEW "a""b" AS SELECT * FROM "t""_1"'


def test_a_views_name_tells_of_which_tables_it_can_be():
    assert root_name("Motion_v1") == "dataset_motion_v1"
    assert may_be_view_of("Motion_v1", "dataset_motion_v1")
    assert may_be_view_of("Motion_v1__items", "dataset_motion_v1_items")
    assert not may_be_view_of("Weather_v1", "dataset_motion_v1")
