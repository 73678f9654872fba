"""Tables and texts as pages show them: sorted, filtered, marked, summed up; nothing of a file is more than text."""

from carrel.disclosure.tables import Table, read_tables
from carrel.review.shown.characters import visible
from carrel.review.shown.summaries import summaries_of
from carrel.review.shown.tables import TableMarks, TablePage, TableQuery, page_of_table
from carrel.review.shown.texts import page_of_text


def table_of(text: str) -> Table:
    return read_tables([text])[0]


def lines_of(page: TablePage) -> list[str]:
    """The line numbers of a page's rows, in order."""
    return [part.partition("#")[0] for part in page.html.split("?line=")[1:]]


TABLE = table_of("name,people\nb,10\na,9\nc,\nd,100\n")


def test_rows_are_sorted_by_number_with_gaps_last() -> None:
    assert lines_of(page_of_table(TABLE, TableQuery(sort=2), TableMarks())) == ["3", "2", "5", "4"]
    assert lines_of(page_of_table(TABLE, TableQuery(sort=-2), TableMarks())) == ["5", "2", "3", "4"]
    assert lines_of(page_of_table(TABLE, TableQuery(sort=9), TableMarks())) == ["2", "3", "4", "5"]


def test_rows_are_found_and_flagged() -> None:
    marks = TableMarks(flagged={(3, "people"): 'small-count: "few"'}, commented=frozenset({(5, "")}))
    page = page_of_table(TABLE, TableQuery(only_flagged=True), marks)
    assert lines_of(page) == ["3", "5"]
    assert 'class="number flagged" title="small-count: &quot;few&quot;"' in page.html
    assert lines_of(page_of_table(TABLE, TableQuery(text="D"), marks)) == ["5"]


def test_a_line_is_shown_on_its_page() -> None:
    table = table_of("a,b\n" + "".join(f"{number},x\n" for number in range(450)))
    page = page_of_table(table, TableQuery(line=300, column="b"), TableMarks())
    assert (page.page, page.pages, page.total) == (2, 3, 450)
    assert page.html.count("chosen") == 1
    assert page_of_table(table, TableQuery(page=99), TableMarks()).page == 3


def test_nothing_in_a_cell_is_markup_or_hidden() -> None:
    table = table_of('<b>,x\n"<script>x()</script>",\u202e1\n')
    page = page_of_table(table, TableQuery(), TableMarks(flagged={(2, "x"): "<i>"}))
    assert "<script" not in page.html
    assert "<i>" not in page.html
    assert "⟨U+202E⟩1" in page.html
    assert visible("a\x00\u200bb") == "a␛00⟨U+200B⟩b"


def test_columns_are_summed_up_as_the_contract_says() -> None:
    table = table_of("n,f,m,t,r\n3,1.5,1,x,[redacted]\n0,-1,y,,\n9,,2,z,<=7\n")
    by_name = {summary.name: summary for summary in summaries_of(table)}
    counts = by_name["n"]
    assert (counts.kind, counts.smallest, counts.smallest_not_zero, counts.largest, counts.total) == (
        "int",
        0,
        3,
        9,
        12,
    )
    assert (counts.by_5, counts.by_6, counts.midpoint_6) == (False, False, True)
    assert (by_name["f"].kind, by_name["f"].missing, by_name["f"].by_5) == ("float", 1, None)
    assert (by_name["m"].kind, by_name["m"].numeric) == ("mixed", 2)
    assert (by_name["t"].kind, by_name["t"].missing) == ("text", 1)
    assert (by_name["r"].kind, by_name["r"].redacted, by_name["r"].missing) == ("empty", 2, 1)


def test_texts_come_by_the_page_and_say_what_is_damaged() -> None:
    text = page_of_text(b"x\n" * 2500, line=1500)
    assert (text.page, text.pages, text.total) == (2, 3, 2500)
    assert '<tr class="chosen"><th scope="row" class="line"><a href="?line=1500#comment"' in text.html
    assert page_of_text(b"\xff\n").is_damaged
    assert page_of_text(b"x" * 5000).cut == 1
    assert "<b>" not in page_of_text(b"\x1b[31m<b>\x1b[0m", is_log=True).html
    assert "␛" not in page_of_text(b"\x1b[31mred\x1b[0m", is_log=True).html
