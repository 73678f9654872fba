"""Reading SQL without a database: one statement, and the names of its columns."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.sqlrunner.errors import NotPermitted, QueryError
from carrel.sqlrunner.lexer import tokens
from carrel.sqlrunner.query import UnknownColumns, check_dissent, parse_query, read_query

NAMES = {
    "SELECT a, b FROM t": "a b",
    "select a as x, t.b, s.t.c y from t": "x b y",
    'SELECT "A b", t."c""d" FROM t': 'A b|c"d',
    "SELECT [First Name], t.[x] AS [y z] FROM [dbo].[t]": "First Name|y z",
    "SELECT n = count(*), [m] = 1 FROM t": "n m",
    "SELECT TOP 10 a FROM t": "a",
    "SELECT TOP (10) PERCENT WITH TIES a, b FROM t ORDER BY a": "a b",
    "SELECT DISTINCT a FROM t": "a",
    "SELECT DISTINCT ON (a, c) a, b FROM t": "a b",
    "SELECT ALL a FROM t": "a",
    "SELECT CAST(a AS int) AS b, extract(year FROM d) yr FROM t": "b yr",
    "SELECT CASE WHEN a = 1 THEN 'x, y' ELSE b END AS c FROM t": "c",
    "SELECT CASE a WHEN 1 THEN 2 END c, d FROM t": "c d",
    "SELECT (SELECT max(x), 1 FROM u) AS m, a FROM t": "m a",
    "SELECT count(*) n, sum(a) OVER (PARTITION BY b ORDER BY c) s FROM t": "n s",
    "WITH a AS (SELECT 1 AS q), b AS (SELECT 2 AS r) SELECT q, r FROM a, b": "q r",
    "(SELECT a, b FROM t) UNION ALL (SELECT c, d FROM u)": "a b",
    "SELECT a FROM t UNION SELECT b FROM u": "a",
    "SELECT a, 'it''s; -- not' AS b /* , c; /* nested */ */ FROM t -- , d\n;": "a b",
    "SELECT a IS DISTINCT FROM b AS c FROM t": "c",
    "SELECT a IS NOT DISTINCT FROM b AS c, d FROM t": "c d",
    "SELECT a::int, b::varchar(10) AS c FROM t": "a c",
    "SELECT [1, 2] AS l, l[1] AS first FROM t": "l first",
    "SELECT $$a, 'b;$$ AS d, $x$ $$ ; $x$ AS e": "d e",
    "SELECT E'it\\'s, ' AS a, N'x' AS b": "a b",
    "SELECT 1 AS a, 'text' b, 2 c": "a b c",
    "SELECT a AS 'quoted alias', b FROM t": "quoted alias|b",
    "SELECT a, b, FROM t": "a b",
    "SELECT naïve, Größe FROM t": "naïve Größe",
    "SELECT a.from, b FROM a": "from b",
    "SELECT a INTO #x FROM t": "a",
    "SELECT @v AS a": "a",
}


@pytest.mark.parametrize("sql", NAMES)
def test_names_of_columns(sql: str):
    names = NAMES[sql]
    assert parse_query(sql).columns == tuple(names.split("|") if "|" in names else names.split())


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM t", r"selects \*"),
        ("SELECT a, t.* FROM t", r"selects \*"),
        ("SELECT * EXCLUDE (a) FROM t", r"selects \*"),
        ("SELECT a, count(*) FROM t", "Column 2 .* has no name"),
        ("SELECT a + b FROM t", "Column 1"),
        ("SELECT CASE WHEN a THEN 1 END FROM t", "Column 1"),
        ("SELECT 1", "Column 1"),
        ("SELECT NULL", "Column 1"),
        ("SELECT a.b + c.d FROM t", "Column 1"),
        ("FROM t", "no SELECT"),
        ("()", "no SELECT"),
        ("SELECT FROM t", "no SELECT"),
    ],
)
def test_names_that_cannot_be_told(sql: str, words: str):
    query = parse_query(sql)
    assert query.columns_if_known is None
    with pytest.raises(UnknownColumns, match=words):
        _ = query.columns


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "no statement"),
        ("  -- only\n /* comments */ ; ;", "no statement"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT ';'; SELECT 2; SELECT 3;", "3 statements"),
        ("SELECT 1 /* never", "never ends"),
        ("SELECT 'never", "never closed"),
        ('SELECT "never', "never closed"),
    ],
)
def test_what_is_not_one_statement(sql: str, words: str):
    with pytest.raises(QueryError, match=words):
        parse_query(sql)


def test_two_columns_of_one_name():
    with pytest.raises(QueryError, match="two columns called 'a'"):
        _ = parse_query("SELECT t.a, u.a FROM t, u").columns


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.sql").write_bytes("SELECT 'é' AS a".encode("latin-1"))
    (tmp_path / "bom.sql").write_bytes("\ufeffSELECT 1 AS a".encode())
    with pytest.raises(QueryError, match="not UTF-8"):
        read_query(tmp_path / "latin.sql")
    with pytest.raises(QueryError, match="cannot be read"):
        read_query(tmp_path / "absent.sql")
    with pytest.raises(QueryError, match="cannot be read"):
        read_query(tmp_path)
    assert read_query(tmp_path / "bom.sql").columns == ("a",)


def test_dissent():
    check_dissent(parse_query("SELECT a FROM t -- patientswithtypeonedissent are not in t"))
    with pytest.raises(NotPermitted, match="PatientsWithTypeOneDissent"):
        check_dissent(parse_query("SELECT a FROM t"))


PIECES = st.sampled_from(
    [
        "SELECT ",
        "a",
        '"b;c"',
        "'d;''e'",
        ", ",
        " AS ",
        "(",
        ")",
        "[x]",
        "1",
        "-- ;\n",
        "/* ; /* ; */ */",
        "$$;$$",
        "*",
        ".",
    ]
)


@settings(max_examples=100)
@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_a_semicolon_that_is_hidden_never_cuts(text: str):
    """Whatever is around, quotes and comments hide; only a bare semicolon separates."""
    assert not [token for token in tokens(text) if token.is_symbol(";")]
    assert parse_query(f"SELECT 1 AS a {text}\n;").text
    with pytest.raises(QueryError, match="2 statements"):
        parse_query(f"SELECT 1 AS a {text}\n; SELECT 2")


@settings(max_examples=100)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
def test_any_name_in_quotes_is_read_back(names: list[str]):
    quoted = ", ".join('x AS "' + name.replace('"', '""') + '"' for name in names)
    assert parse_query(f"SELECT {quoted} FROM t").columns == tuple(names)
