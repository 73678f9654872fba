"""A job's status is written in one module, with its event; what else of a job changes, in the package around it.

This finds every way in which Python, Django or SQL could write those columns of a row, by its looks; a write whose
columns cannot be told from the text counts as one of all. `ELSEWHERE` names what looks so and is not.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from carrel.controller.service.statuses import STATUS_COLUMNS

SOURCE = Path(__file__).parents[2] / "src" / "carrel"
DOOR = "controller/service/statuses.py"
PACKAGE = "controller/service/"
STATUS = frozenset(STATUS_COLUMNS)
CHANGING = STATUS | {"cancelled", "not_before", "failed_attempts", "outputs_missing", "metrics"}
"""Columns of a job that are written after its row was made."""

ELSEWHERE = {
    ("controller/models.py", "save(*)"): "an event's own method, which refuses a second time",
    ("controller/service/events.py", "save(*)"): "a new event",
    ("controller/service/flags.py", "save(*)"): "a flag",
    ("controller/service/queries.py", "setattr(*)"): "a row put together to be looked at, which says so",
    ("controller/service/requests.py", "Job(status_code_updated_at, status_message, updated_at)"): "a new row",
    ("controller/service/requests.py", "get_or_create(*)"): "a new request",
    ("site/processes.py", "=(not_before)"): "a program's own time",
}
ALL = "*"
SQL = re.compile(r"\bupdate\b.*\bset\b", re.IGNORECASE | re.DOTALL)
"""An `ON CONFLICT DO UPDATE SET` too; not `BEFORE UPDATE ON`, which begins a trigger."""


def writes(text: str, columns: Iterable[str]) -> Iterator[str]:
    """Each write of one of these columns, as `how(which)`; `*` where the text does not tell which."""
    columns = frozenset(columns)
    for node in ast.walk(ast.parse(text)):
        for how, names in _names_written(node):
            if ALL in names or names & columns:
                yield f"{how}({ALL if ALL in names else ', '.join(sorted(names & columns))})"


def _names_written(node: ast.AST) -> Iterator[tuple[str, set[str]]]:
    match node:
        case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
            yield "=", {name}
        case ast.Subscript(value=value, slice=key, ctx=ast.Store()) if _is_a_rows_dictionary(value):
            yield "[]=", _text(key)
        case ast.BinOp() | ast.JoinedStr() | ast.Constant(value=str()):
            parts = sorted(filter(_is_text, ast.walk(node)), key=lambda part: (part.lineno, part.col_offset))
            if SQL.search("".join(part.value for part in parts)):
                yield "SQL", {ALL}
        case ast.Call():
            yield from _names_of_call(node)


def _names_of_call(call: ast.Call) -> Iterator[tuple[str, set[str]]]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    name = name.removeprefix("a") if name.startswith(("aupdate", "asave", "abulk", "aget_or", "acreate")) else name
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in ("setattr", "__setattr__") and len(call.args) >= 2:
        yield name, _text(call.args[-2])
    elif name in ("save", "save_base") and isinstance(call.func, ast.Attribute):
        yield name, _texts(given.get("update_fields"))
    elif name == "bulk_update":
        yield name, _texts(call.args[1] if len(call.args) > 1 else given.get("fields"))
    elif name == "bulk_create" and given.keys() & {"update_conflicts", "update_fields"}:
        yield name, _texts(given.get("update_fields"))
    elif name in ("update_or_create", "get_or_create", "update", "create", "Job"):
        if name == "update" and call.args and isinstance(call.func, ast.Attribute):
            yield name, _keys(call.args[0]) if _is_a_rows_dictionary(call.func.value) else set()
        values = [_keys(value) for key, value in given.items() if key in (None, "defaults", "create_defaults")]
        yield name, set().union(*values) | {key for key in given if key}


def _is_a_rows_dictionary(value: ast.expr) -> bool:
    return ast.unparse(value).startswith("vars(") or (isinstance(value, ast.Attribute) and value.attr == "__dict__")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _text(node: ast.expr) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) else {ALL}


def _texts(node: ast.expr | None) -> set[str]:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return set().union(*map(_text, node.elts))
    return {ALL}


def _keys(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Dict):
        return set().union(*(_text(key) if key else {ALL} for key in node.keys))
    return {ALL}


def texts() -> dict[str, str]:
    """Every file that could hold a row of the controller's, and every one that could reach its table by SQL."""
    files = {str(path.relative_to(SOURCE)): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    words = ("carrel.controller", "django", "controller_job")
    # The sites and their pages have tables of their own, and import rules keep them from the controller's.
    sites = ("jobserver/", "review/", "pages/")
    files = {name: text for name, text in files.items() if not name.startswith(sites)}
    return {name: text for name, text in files.items() if any(word in text for word in words)}


def strangers(columns: Iterable[str], door: str) -> set[tuple[str, str]]:
    """(file, write) for each write of these columns outside the door."""
    return {
        (name, write) for name, text in texts().items() if not name.startswith(door) for write in writes(text, columns)
    }


def test_a_jobs_status_is_written_in_one_module() -> None:
    assert sorted(strangers(STATUS, DOOR) - ELSEWHERE.keys()) == [], "call carrel.controller.service.statuses"


def test_what_else_of_a_job_changes_is_written_in_one_package() -> None:
    assert sorted(strangers(CHANGING, PACKAGE) - ELSEWHERE.keys()) == [], "write it in carrel.controller.service"


def test_no_reason_outlives_its_write() -> None:
    assert sorted(ELSEWHERE.keys() - strangers(STATUS, DOOR) - strangers(CHANGING, PACKAGE)) == []


def test_the_door_is_where_it_is_looked_for() -> None:
    assert set(writes((SOURCE / DOOR).read_text(), STATUS)) == {"setattr(*)", "save(*)"}
    assert {"controller/models.py", DOOR, "web/settings.py"} <= texts().keys()


@pytest.mark.parametrize(
    "code",
    [
        # as it once stood in scheduling.py
        "Job.objects.filter(pk=pk).update(state=State.FAILED.value, status_code=StatusCode.INTERNAL_ERROR.value)",
        "job.state = 'failed'",
        "job.status_code, job.state = code, state",
        "job.status_message += ' again'",
        "job.completed_at: datetime = now",
        "task.job.state = 'failed'",
        "for job.state in states: pass",
        "with f() as job.state: pass",
        "del job.completed_at",
        "setattr(job, 'state', 'failed')",
        "for name in names: setattr(job, name, None)",
        "object.__setattr__(job, 'state', 'failed')",
        "super().__setattr__(name, value)",
        "vars(job)['state'] = 'failed'",
        "job.__dict__['state'] = 'failed'",
        "job.__dict__[name] = 'failed'",
        "job.__dict__.update({'state': 'failed'})",
        "vars(job).update(state='failed')",
        "job.save()",
        "job.save(force_update=True)",
        "job.save(update_fields=['state'])",
        "job.save(update_fields=('metrics', 'updated_at'))",
        "job.save(update_fields=columns)",
        "job.save_base(raw=True)",
        "await job.asave()",
        "rows.update(**{'state': 'failed'})",
        "rows.update(**values)",
        "rows.update(completed_at=F('updated_at'))",
        "await rows.aupdate(state='failed')",
        "Job.objects.bulk_update(jobs, ['state'])",
        "Job.objects.bulk_update(jobs, fields=columns)",
        "await Job.objects.abulk_update(jobs, ['state'])",
        "Job.objects.bulk_create(jobs, update_conflicts=True, unique_fields=['id'], update_fields=['state'])",
        "Job.objects.update_or_create(id=pk, defaults={'state': 'failed'})",
        "Job.objects.update_or_create(id=pk, defaults=values)",
        "Job.objects.create(id=pk, state='failed')",
        "Job(id=pk, state='failed').save()",
        "cursor.execute('UPDATE controller_job SET state = %s', ['failed'])",
        "cursor.execute('update controller_job\\nset state = 1')",
        "cursor.execute(f'UPDATE {table} SET {column} = 1')",
        "cursor.execute('UPDATE ' + table + ' SET state = 1')",
        "cursor.execute('UPDATE %s SET state = 1' % table)",
        "cursor.execute('UPDATE {} SET state = 1'.format(table))",
        "Job.objects.raw('WITH x AS (UPDATE controller_job SET state = 1 RETURNING id) SELECT id FROM x')",
        "cursor.execute('INSERT INTO controller_job (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET state = 1')",
    ],
)
def test_a_second_door_is_found(code: str) -> None:
    assert list(writes(f"async def f():\n    {code}", STATUS))


@pytest.mark.parametrize(
    "code",
    [
        "job.metrics = {}",
        "job.save(update_fields=['metrics', 'cancelled'])",
        "rows.update(cancelled=True)",
        "Job.objects.bulk_create(jobs)",
        "known.update(other)",
        "running = Job.objects.filter(state='running')",
        "ActiveJob(state=job.state)",
        "sql = 'CREATE TRIGGER t BEFORE UPDATE ON controller_event'",
    ],
)
def test_other_writes_and_all_reads_are_let_pass(code: str) -> None:
    assert list(writes(code, STATUS)) == []
