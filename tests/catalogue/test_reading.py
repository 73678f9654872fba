"""What SQL reads and what of it is missing, statement by statement, in each dialect."""

import gc

import pytest

from carrel.catalogue import reading
from carrel.catalogue.outlines import outline_of
from carrel.catalogue.reading import ColumnRead, Missing, columns_read, missing
from carrel.messages.catalogue import CatalogueColumn, CatalogueDatabase, CatalogueTable, DataSet, SqlDialect
from carrel.units.limits import MAX_SQL_BYTES, MAX_SQL_DEPTH


def table(name: str, columns: str = "a b", schema: str | None = None, permission: str | None = None) -> CatalogueTable:
    listed = tuple(CatalogueColumn(name=column) for column in columns.split())
    return CatalogueTable(name=name, schema_name=schema, columns=listed, permission=permission)


def database(
    dialect: SqlDialect = "duckdb", *tables: CatalogueTable, search_path: tuple[str, ...] = (), complete: bool = True
) -> CatalogueDatabase:
    listed = tables or (table("t", "a b c s"), table("u", "k a x"))
    data_set = DataSet(name="all", tables=listed)
    return CatalogueDatabase(dialect=dialect, search_path=search_path, is_complete=complete, data_sets=(data_set,))


def read(sql: str, dialect: SqlDialect = "duckdb") -> tuple[str, str, bool]:
    """(columns read, names missing, whether something is unchecked); `z...` is in no table."""
    told = columns_read(sql, dialect, database(dialect))
    columns = " ".join(f"{column.table}.{column.column}" for column in told.columns)
    return columns, " ".join(fault.name for fault in told.missing), bool(told.unchecked)


ALL = "t.a t.b t.c t.s"


@pytest.mark.parametrize(
    ("sql", "columns", "names", "unchecked"),
    [
        ("SELECT a, zz FROM t", "t.a", "zz", False),
        ('select T.A, "t"."A" from t', "t.a", "", False),
        ("select * from t", ALL, "", False),
        ("from t", ALL, "", False),
        ("select t.* from t semi join u on u.x = t.a", f"{ALL} u.x", "", False),
        ("select * from t semi join u on u.x = t.a", f"{ALL} u.x", "", False),
        ("select * exclude (a, zz) from t", ALL, "zz", False),
        ("select * replace (zz + 1 as a) from t", ALL, "zz", False),
        ("select t.* exclude (zz) from t", ALL, "zz", False),
        ("select * rename (zz as q) from t", ALL, "zz", False),
        ("select columns('a.*') from t", ALL, "", True),
        ("select count(*) from t", "", "", False),
        ("select count(t.*) from t", ALL, "", False),
        ("select t from t", ALL, "", False),
        ("select a from t as r where r.zz = 1", "t.a", "zz", False),
        ("select a from t having max(zz) > 1", "t.a", "zz", False),
        ("select a from t qualify row_number() over (partition by y1 order by y2) = 1", "t.a", "y1 y2", False),
        ("select a from t group by all order by all", "t.a", "", False),
        ("select sum(a) over w from t window w as (partition by zz)", "t.a", "zz", False),
        ("select distinct on (zz) a from t", "t.a", "zz", False),
        # names of the select list
        ("select a + 1 as n, n * 2 as m from t where n > 2 group by n order by m", "t.a", "", False),
        ("select n * 2, a as n from t", "t.a", "n", False),
        # joins
        ("select t.b, u.x from t join u on t.a = u.zz", "t.a t.b u.x", "zz", False),
        ("select x from t join u using (a)", "t.a u.a u.x", "", False),
        ("select a from t join u using (a)", "t.a u.a", "", False),
        ("select x from t join u using (k)", "u.k u.x", "k", False),
        ("select a from t natural join u", "t.a u.a", "", False),
        ("select a from t, u", "t.a u.a", "", True),
        ("select 1 from t join u on b = x join (select 1 as b) v on true", "t.b u.x", "", False),
        ("select 1 from t join u on vv = x join (select 1 as vv) v on true", "u.x", "vv", False),
        ("select t.a from t asof join u on t.a >= u.zz", "t.a", "zz", False),
        ("select q.x, q.zz from (t join u on t.a = u.k) as q", "t.a t.b t.c t.s u.a u.k u.x", "zz", False),
        ("select t.b, u.x from (t join u on t.a = u.k)", "t.a t.b u.k u.x", "", False),
        # queries in queries
        ("select d.a, d.zz from (select * from t) d", ALL, "zz", False),
        ("select d.zz from (select a from t) d", "t.a", "", True),
        ("select m, zz from (select a as m from t) d", "t.a", "", True),
        (
            "select a from t where exists (select 1 from u where u.k = t.b and u.a = t.zz)",
            "t.a t.b u.a u.k",
            "zz",
            False,
        ),
        ("select (select max(x) from u where k = b) from t", "t.b u.k u.x", "", False),
        ("select a from t where b in (select zz from u)", "t.a t.b", "zz", False),
        ("select l.x from t, (select x from u where u.k = t.zz) l", "u.k u.x", "zz", False),
        ("select l.x from t, lateral (select x from u where u.k = t.b) l", "t.b u.k u.x", "", False),
        ("with q as (select a, zz from t) select zz from q", "t.a", "zz", False),
        ("with q(n) as (select a from t) select n, a from q", "t.a", "", True),
        ("with t as (select x from u) select x, a from t", "u.x", "", True),
        ("with t as (select a from t) select a from t", "t.a", "", False),
        ("with q as (select 1 as n) select n from q as r(m)", "", "", True),
        (
            "with recursive r as (select a from t union all select a + b from r, t where zz) select a from r",
            "t.a t.b",
            "zz",
            True,
        ),
        ("select a from t union select zz from u order by a, yy", "t.a", "zz", True),
        ("(select a from t) union (select x from u order by zz limit 1)", "t.a u.x", "zz", False),
        ("(with q as (select a from t) select a from q order by 1) limit 3", "t.a", "", False),
        # what is in a column, and names that are no columns
        ("select s.f, t.s.f.g, s['f'], (s).f from t", "t.s", "", False),
        ("select zz.f from t", "", "zz", False),
        ("select t.zz.f from t", "", "zz", False),
        ("select list_transform(s, lambda x: x + b + zz) from t", "t.b t.s", "zz", False),
        ("select [y + zz for y in s if y > b] from t", "t.b t.s", "zz", False),
        (
            "select struct_pack(q := a), extract(year from b), date_diff('day', a, b), interval 3 day from t",
            "t.a t.b",
            "",
            False,
        ),
        ("select rowid, current_date from t", "", "", False),
        ("select g, h.v, v from generate_series(1, 2) g(g), unnest([1]) h(v)", "", "", False),
        ("select v.q, n from (values (1, 2)) v(q, n)", "", "", False),
        ("select anything from (values (1, 2))", "", "", False),
        # tables that are none of the catalogue's
        ("select a from read_csv('x.csv') r join t on r.i = t.b", "t.a t.b", "", True),
        ("select a from information_schema.tables", "", "", True),
        ("select a from duckdb_columns()", "", "", True),
        ("select * from 'x.csv'", "", "x.csv", False),
        ("select * from t pivot (sum(b) for c in (1, 2))", "t.b", "", True),
        ("select * from (select * from t) pivot (sum(b) for c in (1, 2))", ALL, "", True),
        # texts that are no single SELECT
        ("select a from t; select zz from u", "t.a", "zz", False),
        ("create table q as select b from t; select anything from q", "t.b", "", True),
        ("create table q (i int)", "", "", True),
        ("insert into t values (1)", "", "", True),
        ("summarize t", "", "", True),
        ("explain select a from t", "", "", True),
        ("selec", "", "", True),
        ("", "", "", True),
        ("-- nothing\n;", "", "", True),
        ("select 'abc from t", "", "", True),
        ("select a from t where (", "", "", True),
        ("\x00\ud800", "", "", True),
    ],
)
def test_duckdb(sql: str, columns: str, names: str, unchecked: bool) -> None:
    assert read(sql) == (columns, names, unchecked)


@pytest.mark.parametrize(
    ("dialect", "sql", "columns", "names", "unchecked"),
    [
        ("postgres", 'select A, "A", "a" from T', "t.a", "A", False),
        ("postgres", "select t.zz from t", "", "zz", False),
        ("postgres", "select zz.a from t", "", "", True),
        ("postgres", "select (s).f, (zz).f from t", "t.s", "zz", False),
        ("postgres", "select a as m from t where m > 1", "t.a", "m", False),
        ("postgres", "select a as m from t group by m order by m", "t.a", "", False),
        ("postgres", "select e.key, g from jsonb_each('{}') e, generate_series(1, 2) g", "", "", False),
        ("postgres", "select zz from t, jsonb_each(s) e", "t.s", "", False),
        ("postgres", "select t.a from t, (select x from u where u.k = b) l", "t.a u.k u.x", "b", False),
        (
            "postgres",
            "select a from t left join lateral (select x from u where u.k = t.b) l on true",
            "t.a t.b u.k u.x",
            "",
            False,
        ),
        ("postgres", "select array(select zz from u), x::date from u", "u.x", "zz", False),
        ("postgres", "select ctid, user from only t", "", "", False),
        ("postgres", "select relname from pg_catalog.pg_class", "", "", True),
        ("postgres", "select t from t", ALL, "", False),
        ("tsql", "select top 1 n = a, [yy] from [T] order by n", "t.a", "yy", False),
        (
            "tsql",
            "select a from t (nolock) where datediff(day, a, b) > 1 and iif(zz = 1, 1, 2) = 1",
            "t.a t.b",
            "zz",
            False,
        ),
        ("tsql", "select v from t cross apply openjson(s) with (v int) j", "t.s", "", False),
        ("tsql", "select m from t outer apply (select max(x) as m from u where u.k = t.zz) q", "u.k u.x", "zz", False),
        ("tsql", "with q as (select a from t union all select zz from q) select a from q", "t.a", "", True),
        ("tsql", "select a into #q from t; select b from #q", "t.a", "", True),
        ("tsql", "select a from @v", "", "", True),
        ("tsql", "declare @n int = 1; select a from t where b = @n", "t.a t.b", "", True),
        ("tsql", "select t from t", "", "t", False),
        ("trino", 'select "A", s.f, zz.f from t', "t.a t.s", "zz", False),
        ("trino", "select w, n from t cross join unnest(s) with ordinality as q(w, n)", "t.s", "", False),
        ("trino", "select transform(s, x -> x + zz) from t", "t.s", "zz", False),
        ("trino", "select m from t match_recognize (partition by a pattern (p) define p as b > 1)", "", "", True),
    ],
)
def test_other_dialects(dialect: SqlDialect, sql: str, columns: str, names: str, unchecked: bool) -> None:
    assert read(sql, dialect) == (columns, names, unchecked)


@pytest.mark.parametrize(
    ("sql", "tables", "columns"),
    [
        ("select a, r.b from t as r", "t", "t.a t.b"),
        ("select t.a, u.b, c from t, s.u", "s.u t", "s.u.b t.a"),
        ("select * from t", "t", "t.*"),
        ("with q as (select * from t) select a from q", "t", "t.* t.a"),
        ("select a as n, n + 1 from t", "t", "t.a"),
        ("select a from t union select b from t", "t", "t.a t.b"),
        ("with q(n, m) as (select * from t) select n, anything from q", "t", "t.*"),
    ],
)
def test_without_a_catalogue_names_are_told_as_they_are_written(sql: str, tables: str, columns: str) -> None:
    told = columns_read(sql, "duckdb")
    assert " ".join(told.tables) == tables
    assert " ".join(f"{column.table}.{column.column}" for column in told.columns) == columns
    assert told.missing == ()


def test_a_name_that_may_be_of_several_unknown_tables_is_unchecked() -> None:
    assert columns_read("select a from t, u", "duckdb").unchecked == ("`a` may be a column of `t`, `u`",)


SCHEMAS = database(
    "postgres",
    table("t", schema="public"),
    table("t", "c", schema="vault"),
    table("Big", schema="vault"),
    search_path=("public",),
)


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select a from t", "public.t.a"),
        ("select c from vault.t", "vault.t.c"),
        ("select vault.t.c, t.c from vault.t", "vault.t.c"),
        ("select x.c from vault.t x", "vault.t.c"),
        ('select a from vault."Big"', "vault.Big.a"),
        ("select c from here.vault.t", "vault.t.c"),
    ],
)
def test_schemas(sql: str, columns: str) -> None:
    told = columns_read(sql, "postgres", SCHEMAS)
    assert " ".join(f"{column.table}.{column.column}" for column in told.columns) == columns
    assert (told.missing, told.unchecked) == ((), ())


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("select a from vault.nothing", Missing("table", "vault.nothing")),
        ('select a from "Big"', Missing("table", "Big", (), "it is there as `vault.Big`")),
        ("select a from big", Missing("table", "big")),
        ("select aa from tt", Missing("table", "tt")),
        ("select c from vault.tt", Missing("table", "vault.tt")),
    ],
)
def test_a_table_that_is_not_there(sql: str, fault: Missing) -> None:
    assert missing(sql, SCHEMAS) == (fault,)


@pytest.mark.parametrize("sql", ["select a from other.t", "select a from x.other.t", "select a from x.y.z"])
def test_a_table_of_another_database_is_unchecked(sql: str) -> None:
    told = columns_read(sql, "postgres", SCHEMAS)
    assert told.missing == ()
    assert "another database" in told.unchecked[0]


def test_tables_without_a_schema_are_found_under_any() -> None:
    assert read("select main.t.a, t.b from main.t") == ("t.a t.b", "", False)


def test_a_catalogue_that_is_not_complete_misses_columns_only() -> None:
    told = columns_read("select zz from t, elsewhere", "duckdb", database("duckdb", table("t"), complete=False))
    assert told.missing == ()
    assert told.unchecked == ("`elsewhere` is not in the catalogue, which does not list every table",)
    assert missing("select zz from t", database("duckdb", table("t"), complete=False))[0].name == "zz"


def test_a_table_whose_columns_are_not_listed() -> None:
    told = columns_read("select a from t", "duckdb", database("duckdb", table("t", "")))
    assert (told.columns, told.missing) == ((ColumnRead("t", "a"),), ())
    assert told.unchecked == ("the catalogue lists no columns of `t`",)


def test_what_tables_ask_for_is_told() -> None:
    guarded = database("duckdb", table("t", permission="tests"), table("u", permission="wards"), table("v"))
    assert columns_read("select 1 from t, v", "duckdb", guarded).permissions == ("tests",)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select sgss_status from t", "south has no `sgss_status` in `t`"),
        ("select patient from p", "south has no `patient` in `p` (did you mean `Patient_ID`?)"),
        ("select a from ps", "south has no table `ps` (did you mean `p`?)"),
        ("select qq from t, u", "south has no `qq` in `t`, `u`"),
    ],
)
def test_sentences(sql: str, said: str) -> None:
    tables = [table("t"), table("u"), table("p", "Patient_ID")]
    (fault,) = missing(sql, database("duckdb", *tables))
    assert fault.sentence("south") == said.replace(" (did you mean `p`?)", "")


def test_a_sentence_names_a_few_tables_only() -> None:
    tables = [table(f"t{number}") for number in range(8)]
    (fault,) = missing(f"select zz from {', '.join(listed.name for listed in tables)}", database("duckdb", *tables))
    assert fault.sentence("south") == "south has no `zz` in `t0`, `t1`, `t2`, `t3`, `t4` and 3 more"


# -- bounds


def nested(sql: str, inner: str, depth: int, end: str = "") -> str:
    return f"select {sql * depth}{inner}{end * depth} from t"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (nested("(", "a", MAX_SQL_DEPTH + 1, ")"), "brackets are nested"),
        (nested("not ", "a", 5_000), "too deeply"),
        (nested("- ", "a", 5_000), "too deeply"),
        (nested("a[", "1", 90, "]"), "too deeply"),
        (nested("case when a then ", "1", 3_000, " end"), "too deeply"),
        ("select " + "(" * 100_000, "brackets are nested"),
        ("select a" + "[1]" * 10_000 + " from t", "too deeply"),
        (f"select '{'x' * MAX_SQL_BYTES}'", "longer than 256 KiB"),
        (f"select '{'ä' * (MAX_SQL_BYTES // 2)}'", "longer than 256 KiB"),
    ],
)
def test_what_is_too_large_or_too_deep_is_unchecked(sql: str, reason: str) -> None:
    told = columns_read(sql, "duckdb", database())
    assert reason in told.unchecked[0]
    assert told.missing == ()


def test_long_texts_are_read() -> None:
    columns = " + ".join(["a"] * 5_000)
    branches = " union all ".join([f"select {columns} from t", *["select zz from t"] * 1_000])
    assert read(branches) == ("t.a", "zz", False)


def test_queries_that_name_one_another_twice_are_read_once() -> None:
    steps = ", ".join(f"c{number} as (select l.a from c{number - 1} l, c{number - 1} r)" for number in range(1, 200))
    assert read(f"with c0 as (select a from t), {steps} select a from c199") == ("t.a", "", False)


def test_deep_queries_are_unchecked_whoever_recurses() -> None:
    query = "select a from t"
    for _ in range(60):
        query = f"select a from ({query}) q"
    outline = outline_of(query, "duckdb")
    assert outline.unchecked or columns_read(query, "duckdb", database()).columns == (ColumnRead("t", "a"),)


def test_an_error_of_the_parsers_is_said_without_the_text() -> None:
    (said,) = outline_of("select a\nfrom t where where secret", "duckdb").unchecked
    assert said == "it is not SQL that can be understood here at line 2, column 18"


def test_the_parser_says_nothing_in_logs(caplog: pytest.LogCaptureFixture) -> None:
    outline_of("explain select secret from t", "duckdb")
    assert caplog.text == ""


def test_a_catalogue_is_indexed_once_and_forgotten_with_it() -> None:
    held = database()
    index = reading.index_of(held)
    assert reading.index_of(held) is index
    assert index.read("select a from t") is index.read("select a from t")
    key = id(held)
    assert key in reading._indices
    del held
    gc.collect()
    assert key not in reading._indices


def test_a_few_thousand_texts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "REMEMBERED_TEXTS", 2)
    index = reading.index_of(held := database())
    for number in range(5):
        index.read(f"select {number} from t")
    assert len(index.readings) == 1
    index.read(f"select '{'x' * reading.REMEMBERED_CHARACTERS}'")
    assert len(index.readings) == 1
    assert held.tables is not None
