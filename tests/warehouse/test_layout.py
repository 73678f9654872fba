"""Where things lie in a warehouse."""

from pathlib import Path

import pytest

from carrel.warehouse import layout


def test_tables_have_folders():
    keys = [layout.table_key(name) for name in ("Motion_v1", "_ledger", "_quarantine", "archive/Motion_v1_2/Motion_v1")]
    assert keys == ["tables/Motion_v1", "_ledger", "_quarantine", "archive/Motion_v1_2/Motion_v1"]


def test_data_files_tell_their_run():
    assert layout.run_id_of(7) == "r00000007"
    assert layout.run_key("r00000007", "plan.json") == "_runs/r00000007/plan.json"
    name = f"{layout.file_prefix(layout.run_id_of(7))}lines-ab.parquet"
    assert [layout.run_of(path) for path in (name, "part-0000-x.parquet", "part-r123456789-x.parquet")] == [
        7,
        0,
        123456789,
    ]


@pytest.mark.parametrize(("state", "finished"), [("open", 6), ("done", 7), ("given up", 7)])
def test_the_state_tells_the_last_run_that_is_whole(state, finished):
    assert layout.finished_run(layout.state_text(7, state)) == finished


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"number": 7}', b'{"number": null, "state": "open"}', b"7"])
def test_a_damaged_state_is_a_fault(text):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        layout.finished_run(text)


def test_the_tables_of_a_folder(tmp_path: Path):
    for name in ("b", "a"):
        (tmp_path / "tables" / name / "_delta_log").mkdir(parents=True)
    (tmp_path / "_ledger" / "_delta_log").mkdir(parents=True)
    inside = tmp_path / "tables"
    assert layout.tables_folder(tmp_path) == layout.tables_folder(inside) == inside
    assert layout.table_folders(tmp_path) == layout.table_folders(inside) == [inside / "a", inside / "b"]
    assert layout.table_folders(inside / "a") == [inside / "a"]
    assert layout.is_table(inside / "a")
    assert not layout.is_table(tmp_path)
