"""When a board is finished: not before every backend has told of its jobs."""

from carrel.site.board import Board


def job(backend: str, action: str, status: str) -> dict[str, object]:
    return {
        "backend": backend,
        "action": action,
        "status": status,
        "status_code": status,
        "status_message": status,
    }


def test_a_backend_that_has_told_of_nothing_yet_is_waited_for() -> None:
    board = Board({"rap1": "north", "rap2": "south"})
    assert not board.finished
    board.take([job("north", "extract", "succeeded")])
    assert not board.finished
    board.take([job("south", "extract", "running")])
    assert not board.finished
    changed = board.take([job("north", "extract", "succeeded"), job("south", "extract", "failed")])
    assert [entry["backend"] for entry in changed] == ["south"]
    assert board.finished
    assert [entry["backend"] for entry in board.failures] == ["south"]
