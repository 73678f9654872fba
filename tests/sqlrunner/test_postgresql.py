"""The real server: types, read-only, one statement, errors that keep values to themselves, constant memory."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sqlrunner.awkward import check_types_and_values
from tests.sqlrunner.conftest import Run
from tests.sqlrunner.failures import check_failure
from tests.sqlrunner.server import PASSWORD, Server

pytestmark = pytest.mark.postgresql


def test_types_and_values_are_kept_in_parquet(run: Run, postgres: Server, tmp_path: Path):
    done = run("SELECT * FROM t ORDER BY id", "--output", "o.parquet", env={"DATABASE_URL": postgres.url})
    assert done.returncode == 0, done.stderr
    check_types_and_values(pq.read_table(tmp_path / "o.parquet"))


def test_csv_is_the_same_from_both_databases(run: Run, postgres: Server, duckdb_url: str, tmp_path: Path):
    for name, url in {"p.csv": postgres.url, "d.csv": duckdb_url}.items():
        assert run("SELECT * FROM t ORDER BY id", "--output", name, "--dsn", url).returncode == 0
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "d.csv").read_bytes()


@pytest.mark.parametrize(
    "url", [lambda s: s.url.replace("postgresql", "postgres"), lambda s: s.url.replace("sql:", "sql+psycopg:")]
)
def test_other_ways_to_write_the_address(run: Run, postgres: Server, tmp_path: Path, url):
    assert run("SELECT 1 AS one", "--output", "o.csv", "--dsn", url(postgres)).returncode == 0
    assert (tmp_path / "o.csv").read_text() == "one\n1\n"


def test_text_for_what_arrow_has_no_type_for(run: Run, postgres: Server, tmp_path: Path):
    sql = """SELECT interval '1 month' AS i, '{"a": 1}'::jsonb AS j, '::1'::inet AS n, 'a'::"char" AS c,
        '00000000-0000-0000-0000-000000000001'::uuid AS u, 'x'::bytea AS b, time '01:02' AS t"""
    assert run(sql, "--output", "o.csv", "--dsn", postgres.url).returncode == 0
    rows = csv.DictReader((tmp_path / "o.csv").read_text().splitlines())
    assert list(rows) == [
        {"i": "1 mon", "j": '{"a": 1}', "n": "::1", "c": "a", "u": "00000000-0000-0000-0000-000000000001"}
        | {"b": "78", "t": "01:02:00.000000"}
    ]


def test_numeric_without_precision_is_a_double_unless_that_loses_a_whole_number(
    run: Run, postgres: Server, tmp_path: Path
):
    sql = "SELECT avg(v) AS mean, sum(v) AS total FROM (VALUES (1::bigint), (2)) AS x(v)"
    assert run(sql, "--output", "o.parquet", "--dsn", postgres.url).returncode == 0
    assert pq.read_table(tmp_path / "o.parquet").to_pylist() == [{"mean": 1.5, "total": 3.0}]
    done = run("SELECT 12345678901234567891::numeric AS n", "--output", "o2.parquet", "--dsn", postgres.url)
    assert done.returncode == 1
    assert "cast it to bigint or numeric(38, 0)" in done.stderr
    assert not (tmp_path / "o2.parquet").exists()


def test_lists_are_kept_in_arrow_and_refused_in_csv(run: Run, postgres: Server, tmp_path: Path):
    sql = "SELECT ARRAY[1, 2] AS l"
    assert run(sql, "--output", "o.arrow", "--dsn", postgres.url).returncode == 0
    assert pa.ipc.open_file(tmp_path / "o.arrow").read_all().to_pylist() == [{"l": [1, 2]}]
    done = run(sql, "--output", "o.csv", "--dsn", postgres.url)
    assert (done.returncode, "cast it to text" in done.stderr) == (1, True)


def test_an_empty_result_has_its_header_and_its_types(run: Run, postgres: Server, tmp_path: Path):
    sql = "SELECT id, price FROM t WHERE false"
    for name in ("o.csv", "o.parquet"):
        assert run(sql, "--output", name, "--dsn", postgres.url).returncode == 0
    assert (tmp_path / "o.csv").read_text() == "id,price\n"
    assert pq.read_schema(tmp_path / "o.parquet").types == [pa.int32(), pa.decimal128(18, 3)]


def test_percent_signs_and_colons_are_the_sql_s_own(run: Run, postgres: Server, tmp_path: Path):
    sql = "SELECT 'a%s:b %(c)s' AS v WHERE 'abc' LIKE '%b%'; -- the end; really"
    assert run(sql, "--output", "o.csv", "--dsn", postgres.url).returncode == 0
    assert (tmp_path / "o.csv").read_text() == "v\na%s:b %(c)s\n"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("CREATE TABLE made (a int)", 10),
        ("INSERT INTO t (id) VALUES (99) RETURNING id", 10),
        ("WITH gone AS (DELETE FROM t RETURNING id) SELECT * FROM gone", 12),
        ("SELECT set_config('transaction_read_only', 'off', false)", 1),
        ("COPY t TO STDOUT", 10),
        ("SELECT 1 AS a; DROP TABLE t", 10),
        ("SELECT pg_read_file('/etc/passwd')", 12),
    ],
)
def test_nothing_can_be_written(run: Run, postgres: Server, tmp_path: Path, sql: str, code: int):
    # This role may write: so it is the session that forbids, not the role.
    url = postgres.url if "pg_read_file" in sql else postgres.writer_url
    assert run(sql, "--output", "o.csv", "--dsn", url).returncode == code
    assert not (tmp_path / "o.csv").exists()
    assert run("SELECT count(*) AS n FROM t", "--output", "n.csv", "--dsn", url).returncode == 0
    assert (tmp_path / "n.csv").read_text() == "n\n5\n"


def test_the_server_itself_refuses_a_second_statement_where_our_reading_would_not_see_it(postgres: Server):
    from carrel.sqlrunner.errors import QueryError
    from carrel.sqlrunner.postgresql import open_rows

    sql = "SELECT 1; DROP TABLE t"
    with pytest.raises(QueryError, match="multiple commands"), open_rows(postgres.writer_url, sql, Path()):
        pass


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("SELECT id,\n  nope\nFROM t", 10, 'column "nope" does not exist (line 2:   nope)'),
        ("SELEC 1", 10, "syntax error"),
        ("SELECT * FROM closed", 12, "permission denied for table closed"),
        ("SELECT name::int AS n FROM t", 1, "A value broke the query"),
        ("SELECT 1 / (id - 3) AS n FROM t", 1, "A value broke the query"),
        ("SELECT '5000-01-01'::date + 5000000 AS d", 1, "A value broke the query"),
        ("SELECT 1 AS a, 2 AS a", 10, "two columns called 'a'"),
    ],
)
def test_errors_say_what_to_do_and_never_a_value(run: Run, postgres: Server, tmp_path: Path, sql, code, words):
    entry = check_failure(run, tmp_path, postgres.url, sql, code, words)
    if "name::int" in sql:
        assert 'invalid input syntax for type integer: "plain"' in str(entry["detail"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda url: url.replace("reader:", "nobody:"), 5),
        (lambda url: url.replace("/postgres?", "/absent?"), 5),
        (lambda url: url.replace("host=", "port=1&host="), 3),
        (lambda url: f"postgresql://reader:{PASSWORD}@127.0.0.1:1/postgres", 3),
        (lambda url: url + "&nonsense=1", 5),
    ],
)
def test_no_connection(run: Run, postgres: Server, tmp_path: Path, change, code: int):
    url = change(postgres.url)
    done = run("SELECT 1 AS a", "--output", "o.csv", "--dsn", url, "--log-file", "log.jsonl")
    assert done.returncode == code, done.stderr
    said = done.stdout + done.stderr
    assert "127.0.0.1" not in said
    assert str(postgres.cluster.folder) not in said
    for secret in (PASSWORD, url):
        assert secret not in said + (tmp_path / "log.jsonl").read_text()


def test_the_connection_lost_half_way_is_transient(postgres: Server):
    from carrel.sqlrunner.errors import Transient
    from carrel.sqlrunner.postgresql import open_rows

    with open_rows(postgres.url, "SELECT generate_series(1, 500000) AS i", Path()) as rows:
        next(rows.batches)
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
        with pytest.raises(Transient):
            list(rows.batches)


def test_memory_does_not_grow_with_the_rows(run: Run, postgres: Server, tmp_path: Path):
    """A million rows are about 80 MB of CSV; the process must need far less more for them than for a thousand."""
    peaks = [peak_memory(run, postgres.url, tmp_path, rows) for rows in (1_000, 1_000_000)]
    assert (tmp_path / "o.csv").stat().st_size > 60_000_000
    assert peaks[1] - peaks[0] < 40_000_000


def peak_memory(run: Run, url: str, folder: Path, rows: int) -> int:
    from tests.sqlrunner.memory import run_measured

    (folder / "query.sql").write_text(
        f"SELECT i AS id, md5(i::text) AS name, md5((i + 1)::text) AS other FROM generate_series(1, {rows}) AS r(i)"
    )
    code, peak = run_measured(folder, ["query.sql", "--output", "o.csv", "--dsn", url])
    assert code == 0
    return peak


@pytest.fixture
def secrets(postgres: Server) -> Iterator[None]:
    """A table with names, a role called as one of them, and functions that quote what they meet."""
    postgres.execute(
        "CREATE TABLE names (id int, name text); INSERT INTO names VALUES (1, 'SECRETalice'), (2, 'SECRETbob');"
        'GRANT SELECT ON names TO reader; CREATE ROLE "SECRETalice"; CREATE SCHEMA shut;'
        "CREATE FUNCTION says(state text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN RAISE EXCEPTION '%', (SELECT name FROM names LIMIT 1) USING ERRCODE = state; END $$;"
        "CREATE FUNCTION notices() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE NOTICE '%', (SELECT name FROM names LIMIT 1); RAISE WARNING 'SECRET'; RETURN 1; END $$"
    )
    yield
    postgres.execute(
        'DROP FUNCTION says; DROP FUNCTION notices; DROP TABLE names; DROP ROLE "SECRETalice"; DROP SCHEMA shut'
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT set_config('role', name, false) AS x FROM names",
        "SELECT set_config(name, 'x', false) AS x FROM names",
        "SELECT name::regclass AS x FROM names",
        "SELECT name::int AS x FROM names",
        "SELECT nextval(name) AS x FROM names",
        "SELECT has_table_privilege(name, 't', 'select') AS x FROM names",
        "SELECT query_to_xml('create table ' || name || '(a int)', true, true, '')::text AS x FROM names",
        "SELECT query_to_xml('set role ' || name, true, true, '')::text AS x FROM names",
        "SELECT query_to_xml(format('select 1 as %I from closed', name), true, true, '')::text AS x FROM names",
        "SELECT query_to_xml(format('select * from shut.%I', name), true, true, '')::text AS x FROM names",
        "SELECT query_to_xml(format('select * from %I.public.t', name), true, true, '')::text AS x FROM names",
        "SELECT query_to_xml(format('grant %I to reader', name), true, true, '')::text AS x FROM names",
        "SELECT says('42501') AS x",
        "SELECT says('42883') AS x",
        "SELECT says('0A000') AS x",
        "SELECT says('25006') AS x",
        "SELECT says('42P01') AS x FROM names",
        "SELECT says('54000') + id AS x FROM names",
        "SELECT notices() AS x",
    ],
)
@pytest.mark.usefixtures("secrets")
def test_nothing_that_the_server_says_brings_a_value_into_the_log(run: Run, postgres: Server, sql: str):
    done = run(sql, "--output", "o.csv", "--dsn", postgres.url)
    assert "SECRET" not in done.stdout + done.stderr
    assert "Internal error" not in done.stderr


@pytest.mark.parametrize(
    "rights", ["SUPERUSER", "IN ROLE pg_read_server_files", "IN ROLE pg_execute_server_program", "IN ROLE postgres"]
)
def test_a_log_in_that_may_do_more_than_read_tables_is_refused(run: Run, postgres: Server, rights: str):
    postgres.execute(f"CREATE ROLE almighty LOGIN {rights}")
    try:
        url = postgres.cluster.url("postgres").replace("postgres@", "almighty@")
        done = run("SELECT 1 AS one", "--output", "o.csv", "--dsn", url)
    finally:
        postgres.execute("DROP ROLE almighty")
    assert done.returncode == 5
    assert "may do more than read tables" in done.stderr
