"""The components that templates are made of."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from tests.pages.gallery import views

from carrel.pages.lists import active_filters, page_of

NOW = datetime(2026, 12, 1, 14, 10, tzinfo=UTC)


def rendered(template: str, path: str = "/", **context: Any) -> str:
    request = RequestFactory().get(path)
    return Template("{% load pages %}" + template).render(Context({"request": request, "now": NOW, **context}))


def test_a_chip_has_icon_word_colour_and_code() -> None:
    html = rendered("{% chip 'waiting_on_db_workers' %}")
    assert 'class="chip waiting" title="waiting_on_db_workers"' in html
    assert '<use href="#i-waiting"/>' in html
    assert html.endswith("Waiting for a database worker</span>")


def test_a_chip_takes_other_words_and_escapes_them() -> None:
    html = rendered("{% chip 'executing' word=word title='since \"9\"' %}{% chip_of 'failed' '1 failed' %}", word="<b>")
    assert "&lt;b&gt;" in html
    assert "executing: since &quot;9&quot;" in html
    assert '<span class="chip failed"><svg' in html


def test_a_narrow_cell_has_a_short_chip() -> None:
    html = rendered("{% chip 'waiting_on_workers' short=True %}")
    assert 'title="waiting_on_workers: for a worker"' in html
    assert html.endswith("</svg>Waiting</span>")


def test_an_unknown_family_is_an_error_of_the_template() -> None:
    with pytest.raises(ValueError, match="purple"):
        rendered("{% chip_of 'purple' 'x' %}")


def test_words_of_a_status_are_at_hand() -> None:
    assert rendered("{{ 'timed_out'|status_words }}").startswith("StatusWords(")


def test_icons_have_a_label_or_are_hidden() -> None:
    assert 'aria-hidden="true"' in rendered("{% icon 'search' %}")
    assert 'role="img" aria-label="Search"' in rendered("{% icon 'search' 'Search' %}")
    assert "#i-failed" in rendered("{% icon 'error' %}")


def test_times_have_the_exact_one_in_their_title() -> None:
    html = rendered("{% ago moment now=now %}", moment=datetime(2026, 12, 1, 12, 10, tzinfo=UTC))
    assert html == '<time datetime="2026-12-01T12:10:00+00:00" title="Tue 1 Dec 2026, 12:10:00 UTC">2 hours ago</time>'
    assert ">14:10<" in rendered("{% clock now %}")
    assert ">Tue 1 Dec 2026, 14:10:00 UTC<" in rendered("{% exactly now %}")
    assert rendered("{{ now|day }}{{ none|day }}", none=None) == "1 December 2026–"
    assert rendered("{% ago none %}{% clock none %}{% exactly none %}", none=None) == "–––"


def test_numbers_in_words() -> None:
    assert rendered("{{ 192|duration }} {{ 240|about }} {{ 4200000|size }} {{ 2|count:'job' }}") == (
        "3 min 12 s about 4 minutes 4.2 MB 2 jobs"
    )
    assert rendered("{{ a|joined }}|{{ b|joined }}|{{ c|joined }}", a=["n", "s", "w"], b=["n"], c=[]) == "n, s and w|n|"


def test_a_commit_is_short_and_copies_all() -> None:
    sha = "3fa9c1e5b7d9013fa9c1e5b7d9013fa9c1e5b7d9"
    html = rendered("{% commit sha %}{% commit sha '/c/' %}", sha=sha)
    assert "<code>3fa9c1e</code>" in html
    assert '<code><a href="/c/">3fa9c1e</a></code>' in html
    assert html.count(f'data-copy="{sha}"') == 2


def test_code_is_escaped() -> None:
    html = rendered("{% code text %}", text="a < b")
    assert "<code>a &lt; b</code>" in html
    assert 'data-copy="a &lt; b"' in html


@pytest.mark.parametrize(
    ("path", "sorted_by", "link"),
    [
        ("/", "", "?sort=took"),
        ("/?sort=took&backend=north&page=2", ' aria-sort="ascending"', "?backend=north&amp;sort=-took"),
        ("/?sort=-took", ' aria-sort="descending"', "?sort=took"),
    ],
)
def test_heads_of_columns_sort(path: str, sorted_by: str, link: str) -> None:
    html = rendered("{% sort_head 'took' 'Took' numeric=True %}", path)
    assert html.startswith(f'<th scope="col" class="number"{sorted_by}><a href="{link}">Took')


def test_filters_can_be_taken_off() -> None:
    request = RequestFactory().get("/?backend=north&text=x")
    filters = active_filters(request.GET, {"backend": "Backend", "text": "Text"})
    html = rendered("{% filter_chips filters '/all/' %}", filters=filters)
    assert html.count("<li>") == 3
    assert 'href="/all/"' in html
    assert "Take all off" not in rendered("{% filter_chips filters %}", filters=filters[:1])
    assert rendered("{% filter_chips filters %}", filters=[]).strip() == ""


def test_pages_are_counted_and_linked() -> None:
    path = "/?page=2&backend=north"
    page = page_of(RequestFactory().get(path).GET, range(1204))
    html = rendered("{% pagination page 'job' %}", path, page=page)
    assert "51–100 of 1,204 jobs" in html
    assert 'href="?backend=north&amp;page=1" rel="prev"' in html
    assert 'href="?backend=north&amp;page=3" rel="next"' in html
    assert html.count('aria-current="page"') == 1
    last = rendered("{% pagination page 'job' %}", page=page_of(RequestFactory().get("/?page=25").GET, range(1204)))
    assert 'rel="next"' not in last


def test_one_page_has_no_links() -> None:
    html = rendered("{% pagination page %}", page=page_of(RequestFactory().get("/").GET, range(3)))
    assert "3 rows" in html
    assert "<a " not in html


def test_tables_scroll_in_their_own_box() -> None:
    html = rendered("{% table 'Jobs' %}<tr><td>1</td></tr>{% endtable %}")
    assert html == (
        '<div class="table-box" role="region" aria-label="Jobs" tabindex="0"><table><tr><td>1</td></tr></table></div>'
    )


def test_facts_are_escaped() -> None:
    html = rendered("{% facts pairs %}", pairs=[("Image", "<b>")])
    assert html == '<dl class="facts"><div><dt>Image</dt><dd>&lt;b&gt;</dd></div></dl>'


def test_long_lists_say_that_there_are_more() -> None:
    html = rendered("{% pagination page 'job' %}", page=page_of(RequestFactory().get("/").GET, range(10_001)))
    assert "1–50 of more than 10,000 jobs" in html


@pytest.mark.parametrize("name", views.PAGES)
def test_every_page_of_the_gallery_is_served(name: str) -> None:
    answer = Client().get(f"/{name}/")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.content.decode()
