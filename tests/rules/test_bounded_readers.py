"""Whatever reads a whole file, stream, answer or YAML text does so within a bound, or says why it need not.

A reader that takes what it is given, however much that is, lets one study, archive or message end the process that
serves all. This finds them by their looks; `BOUNDED` names those that are right, each with its reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "carrel"

WHOLE = {"read_text", "read_bytes", "readlines", "communicate", "getoutput", "getstatusoutput", "check_output"}
"""Methods and functions that take all there is."""
UNSIZED = {"read", "readline"}
"""Methods that take all there is (of a line) unless they are told how much."""
PARSERS = {("yaml", name) for name in ("load", "safe_load", "load_all", "safe_load_all", "full_load", "unsafe_load")}
PARSERS |= {("json", "load"), ("tomllib", "load"), ("pickle", "load"), ("csv", "reader"), ("csv", "DictReader")}
"""Functions that read what they are given to its end."""


def readers(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(function that it is in, what it calls) for each reader without a bound that can be seen."""
    yield from _readers(tree, "", set())


def _readers(node: ast.AST, scope: str, files: set[str]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        scope, files = (f"{scope}.{node.name}" if scope else node.name), set(files)
    if isinstance(node, ast.With | ast.AsyncWith):
        files |= {item.optional_vars.id for item in node.items if _opens(item)}
    if isinstance(node, ast.Call) and (name := _unbounded(node)):
        yield scope, name
    if isinstance(node, ast.For | ast.comprehension) and _is_file(node.iter, files):
        yield scope, f"for ... in {ast.unparse(node.iter)}"
    for child in ast.iter_child_nodes(node):
        yield from _readers(child, scope, files)


def _opens(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or not isinstance(item.optional_vars, ast.Name):
        return False
    return _called(call)[1] in ("open", "fdopen", "TextIOWrapper", "BytesIO", "StringIO", "ZipFile")


def _called(call: ast.Call) -> tuple[str, str]:
    """The module or object, where it is a plain name, and the function."""
    if isinstance(call.func, ast.Attribute):
        value = call.func.value
        return (value.id if isinstance(value, ast.Name) else ""), call.func.attr
    return "", call.func.id if isinstance(call.func, ast.Name) else ""


def _unbounded(call: ast.Call) -> str:
    owner, name = _called(call)
    if name in WHOLE or (owner, name) in PARSERS or (owner == "yaml" and "Loader" in name):
        return f"{owner}.{name}".lstrip(".")
    if name in UNSIZED and isinstance(call.func, ast.Attribute) and not call.args and not call.keywords:
        return name
    if (
        name in ("run", "Popen")
        and owner == "subprocess"
        and any(word.arg == "capture_output" for word in call.keywords)
    ):
        return "subprocess.run(capture_output)"
    return ""


def _is_file(value: ast.expr, files: set[str]) -> bool:
    if isinstance(value, ast.Call) and _called(value)[1] in ("open", "enumerate") and value.args:
        return _called(value)[1] == "open" or _is_file(value.args[0], files)
    if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
        return (value.value.id, value.attr) in {("sys", "stdin")} or value.attr in ("stdout", "stderr", "stdin")
    return isinstance(value, ast.Name) and value.id in files


FOUND = {
    str(path.relative_to(SOURCE)): sorted(set(readers(ast.parse(path.read_text()))))
    for path in sorted(SOURCE.rglob("*.py"))
}

OURS = "Carrel's own file, written whole by Carrel where no study, archive or peer can write"
KERNEL = "a file of the kernel's about processes and groups of ours"
OPERATOR = "a file that the operator of this installation names"
RESEARCHER = "a command of the researcher's on their own machine: it serves nobody else"

_MOST = {
    KERNEL: (
        "executors/cgroups.py:_enable_v2",
        "executors/cgroups.py:_kill_all",
        "executors/cgroups.py:_read_mounts",
        "executors/cgroups.py:_read",
        "executors/cgroups.py:group_of",
        "executors/containers.py:boot_time",
        "executors/containers.py:engine_start",
        "executors/process_tree.py:descendants",
        "executors/process_tree.py:usage_below",
        "agent/folder.py:boot_id",
    ),
    OURS: (
        "executors/state_folders.py:SupervisedProcess.read_exit",
        "executors/state_folders.py:write_if_changed",
        "executors/state_folders.py:SupervisedProcess.read_record",
        "executors/state_folders.py:SupervisedProcess.read_start_time",
        "executors/state_folders.py:SupervisedProcess.read_supervisor_pid",
        "executors/supervisor.py:_read_words",
        "agent/folder.py:_read_json",
        "outputs/manifest.py:read",
        "agent/metadata.py:read",
        "executors/toolchains.py:_load",
        "executors/toolchains.py:_renew_environment",
        "warehouse/versions.py:_changes_data",
        "warehouse/versions.py:_run_of",
        "warehouse/versions.py:version_of",
        "ingest/store/s3_storage.py:S3Storage.version",
        "ingest/store/storage.py:LocalStorage.read",
        "ingest/schemas/store.py:SchemaStore._document",
        "ingest/schemas/store.py:SchemaStore._index",
        "ingest/schemas/store.py:SchemaStore._write_document",
        "local/records.py:read_record",
        "local/run.py:recover",
        "local/status.py:find_running_actions",
        "units/ignored.py:ignore_files",
        "units/ignored.py:ignores_all",
        "site/demo.py:level4_outputs",
        "site/layout.py:Secrets.of",
        "site/layout.py:load_site",
    ),
    OPERATOR: (
        "jobserver/settings.py:ControllerLink.token",
        "review/settings.py:ReviewSettings.token",
        "web/sign_in.py:_secret",
        "agent/databases.py:_network_access",
        "executors/engine.py:registry_auth",
        "executors/toolchains.py:_install",
        "executors/toolchains.py:build",
        "controller/creation.py:_weights",
        "ingest/aws/artifacts.py:_read",
        "ingest/commands/schemas.py:diff_schema",
        "ingest/mapping/loader.py:load",
        "ingest/mapping/loader.py:shipped",
        "ingest/mapping/yaml_text.py:read_yaml",
        "ingest/schemas/fetcher.py:_read",
        "ingest/schemas/incoming.py:read_document",
    ),
    RESEARCHER: (
        "cli/status.py:logs",
        "jobs/diagram.py:main",
        "local/codelists.py:Codelists.add",
        "local/codelists.py:Codelists.check_upstream",
        "local/codelists.py:Codelists.read_manifest",
        "local/codelists.py:Codelists.find_problems",
        "local/codelists.py:Codelists.read_list",
        "local/report.py:_github_block",
        "local/report.py:program_lines",
        "site/catalogues.py:dummy_catalogue",
        "site/demo.py:_printed",
        "site/demo.py:csv_table",
        "site/job_server.py:set_up",
        "site/processes.py:Process.last_lines",
        "site/review.py:_manage",
        "site/processes.py:Running.start",
        "site/workspaces.py:_latest_jobs",
    ),
    "a program of ours or of the operating system that says a line or two": (
        "executors/bubblewrap.py:probe",
        "outputs/trees.py:remove_tree",
        "executors/toolchains.py:_run",
    ),
    "runs inside the sandbox of the job that wants it, within that job's memory": (
        "jobserver/first_study/analysis/summarise.py:",
        "sqlrunner/dummy.py:_read",
        "sqlrunner/dummy.py:copy_dummy_data",
        "sqlrunner/query.py:read_query",
    ),
    "an error's answer of the container engine on this machine": ("executors/engine.py:Engine.stream",),
    "its own method of that name, which reads our journal": (
        "outputs/recovery.py:_committed_at",
        "outputs/recovery.py:settle",
    ),
    "its size was looked at before": (
        "ingest/archives/zips.py:Archive.read",
        "ingest/sources/folder.py:_bytes_of",
        "ingest/sources/folder.py:_is_being_written",
        "ingest/sources/folder.py:_sidecar",
        "ingest/sources/s3.py:_read_body",
        "ingest/sources/synapse.py:SynapseSource._download",
    ),
    "what it iterates over is cut into lines of at most MAX_TABLE_LINE by carrel.disclosure.records": (
        "disclosure/records.py:count_records",
        "disclosure/records.py:records_of",
    ),
    "it has at most MAX_LOOKED_INTO_BYTES of a released file": ("jobserver/downloads.py:formula_note",),
}
BOUNDED = {place: why for why, places in _MOST.items() for place in places}
"""`file:function` -> why what it reads cannot be too much."""


def test_every_reader_is_bounded_or_says_why() -> None:
    unexplained = [
        f"{file}:{scope} calls {what}"
        for file, found in FOUND.items()
        for scope, what in found
        if f"{file}:{scope}" not in BOUNDED
    ]
    assert unexplained == [], (
        "read at most so much (a bound in carrel.units.limits), or add it to BOUNDED with the reason"
    )


def test_no_reason_outlives_its_reader() -> None:
    places = {f"{file}:{scope}" for file, found in FOUND.items() for scope, _ in found}
    assert sorted(set(BOUNDED) - places) == []


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("path.read_text()", "path.read_text"),
        ("(a / b).read_bytes()", "read_bytes"),
        ("stream.read()", "read"),
        ("stream.readline()", "readline"),
        ("stream.readlines()", "stream.readlines"),
        ("yaml.load(text, Loader=X)", "yaml.load"),
        ("yaml.safe_load(text)", "yaml.safe_load"),
        ("json.load(stream)", "json.load"),
        ("process.communicate()", "process.communicate"),
        ("subprocess.run(x, capture_output=True)", "subprocess.run(capture_output)"),
        ("subprocess.check_output(x)", "subprocess.check_output"),
        ("csv.reader(stream)", "csv.reader"),
        ("with path.open() as f:\n    for line in f: pass", "for ... in f"),
        ("with open(path) as f:\n    x = [line for line in f]", "for ... in f"),
        ("with zipfile.ZipFile(x) as z:\n    z.read()", "read"),
        ("for line in sys.stdin: pass", "for ... in sys.stdin"),
        ("for n, line in enumerate(process.stdout): pass", "for ... in enumerate(process.stdout)"),
        ("for line in open(path): pass", "for ... in open(path)"),
    ],
)
def test_readers_are_found(code: str, what: str) -> None:
    assert [found for _, found in readers(ast.parse(f"def f():\n    {code.replace(chr(10), chr(10) + '    ')}"))] == [
        what
    ]


@pytest.mark.parametrize(
    "code",
    ["stream.read(65536)", "stream.readline(MAX)", "stream.read(size=n)", "for x in listed: pass", "json.loads(text)",
     "subprocess.run(x)", "yaml.dump(x)"],
)  # fmt: skip
def test_bounded_readers_are_let_pass(code: str) -> None:
    assert list(readers(ast.parse(code))) == []
