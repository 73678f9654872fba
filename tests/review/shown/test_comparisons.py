"""Two versions of a file as pages show them: cells, lines and words that differ, all of it as text."""

from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import Table, read_tables
from carrel.review.shown.comparisons import compared_tables, compared_texts

POLICY = DisclosurePolicy()


def table_of(text: str) -> Table:
    return read_tables([text])[0]


def test_cells_that_differ_show_both_values_and_small_differences_are_alarms() -> None:
    old = table_of("term,people,old\na,1285,x\nb,100,y\ngone,50,z\n")
    new = table_of("term,people,new\na,1291,x\nb,200,y\ncome,60,<b>\n")
    page = compared_tables(old, new, POLICY, query="with=turn-1")
    assert (page.changed, page.added, page.removed) == (6, 1, 1)
    assert (page.alarms, page.differences) == (1, (6,))
    assert '<td class="number changed flagged"><del>1285</del> <ins>1291</ins>' in page.html
    assert "small difference: 6" in page.html
    assert '<td class="number changed"><del>100</del> <ins>200</ins></td>' in page.html
    assert "<ins>&lt;b&gt;</ins>" in page.html
    assert '<tr class="removed"><th scope="row" class="line"></th><td><del>gone</del></td>' in page.html
    assert 'href="?with=turn-1&amp;line=2#comment"' in page.html
    assert [(head.name, head.kind) for head in page.heads] == [
        ("term", "same"), ("people", "same"), ("new", "added"), ("old", "removed"),
    ]  # fmt: skip


def test_only_changed_rows_of_a_long_table() -> None:
    rows = [f"r{number},{number * 10}\n" for number in range(500)]
    old = table_of("term,people\n" + "".join(rows))
    new = table_of("term,people\n" + "".join([*rows[:499], "r499,9000\n"]))
    page = compared_tables(old, new, POLICY, only_changed=True)
    assert (page.matching, page.total, page.pages) == (1, 500, 1)
    assert compared_tables(old, new, POLICY, page=99).page == 3


def test_lines_that_differ_show_their_words() -> None:
    old = "".join(f"line {number}\n" for number in range(40)) + "Counts of 7 or <fewer>.\nend\n"
    new = old.replace("7 or", "8 or").replace("end\n", "end\n\x1b[31mred\n")
    page = compared_texts(old, new, query="with=x")
    assert (page.added, page.removed) == (2, 1)
    assert "Counts of <del>7</del> or &lt;fewer&gt;." in page.html
    assert "Counts of <ins>8</ins> or" in page.html
    assert "line 36" not in page.html
    assert "␛1B[31mred" in page.html
    assert 'href="?with=x&amp;line=41#comment"' in page.html
