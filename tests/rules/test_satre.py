"""The page that answers SATRE has every statement that software can meet, and what it names as proof is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/governance/satre.md").read_text()
STATEMENTS = re.findall(
    r"\S+",
    """
1.2.11 1.4.01 1.4.02 1.4.04 1.4.06 1.5.03 1.5.04 1.5.05 1.5.06 1.6.04 1.7.02
2.1.03 2.1.08 2.1.11 2.1.13 2.1.14 2.1.15 2.1.16
2.2.01 2.2.02 2.2.03 2.2.04 2.2.05 2.2.06 2.2.10 2.2.11 2.2.13 2.2.14 2.2.15
2.4.01 2.4.02 2.4.03 2.4.04 2.5.03 2.6.01 2.6.03 2.8.01 2.8.02 2.8.03 2.8.04 2.8.05
3.1.04 3.1.05 3.1.06 3.1.07 3.1.08 3.1.10 3.1.11 3.1.12 3.1.18 3.1.19 3.2.01 3.2.03 3.2.04 3.2.05
3.3.01 3.3.02 3.3.03 3.3.04 3.3.05 3.3.06 3.3.07 3.3.08 3.3.09 3.4.01 3.4.02 3.4.04
5.3.01 5.4.03 5.4.04 5.5.01 5.6.02
""",
)
ANSWERS = {"supported", "partly", "yours to do"}
ROW = re.compile(r"^\| (\d\.\d\.\d\d) \| ([a-z ]+) \| \[([^\]]+)\]\(#[\w-]+\) \|$", re.MULTILINE)
SECTION = re.compile(r"^## ([^\n]+)\n\n\*\*(\d[^\n]+)\*\*\n\n(.+?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = {title: (answers, text) for title, answers, text in SECTION.findall(TEXT)}
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
PAGE = re.compile(r"`(/[\w<>/.-]*)`")
ANY_PART = re.compile(r"<(?:\w+:)?(\w+)>")


def answers_of_sections() -> dict[str, tuple[str, str]]:
    """By statement: its answer, and the section that explains it."""
    return {
        number: (answer, title)
        for title, (answers, _) in SECTIONS.items()
        for number, answer in (each.split(" ", 1) for each in answers.split(", "))
    }


def test_every_statement_is_answered_once_and_in_order() -> None:
    assert [number for number, _, _ in ROW.findall(TEXT)] == STATEMENTS
    assert {answer for _, answer, _ in ROW.findall(TEXT)} <= ANSWERS


def test_the_table_says_what_the_sections_say() -> None:
    table = {number: (answer, title) for number, answer, title in ROW.findall(TEXT)}
    assert table == answers_of_sections()
    assert sum(len(answers.split(", ")) for answers, _ in SECTIONS.values()) == len(table)


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("title", SECTIONS)
def test_what_is_named_as_proof_is_there(title: str) -> None:
    answers, text = SECTIONS[title]
    named = TEST.findall(text)
    assert [path for path, _ in named if not (ROOT / path).is_file()] == []
    assert [name for path, name in named if name and name not in names_in(path)] == []
    assert [page for page in PAGE.findall(text) if page not in pages()] == []
    assert named or "supported" not in answers, "what is supported is shown by a test"


@cache
def pages() -> set[str]:
    """Addresses of the job server as a reader writes them: `/<project>/people/`."""
    from carrel.jobserver.project_urls import PROJECT_PAGES
    from carrel.jobserver.urls import PAGES

    return {"/" + ANY_PART.sub(r"<\1>", page.path) for page in (*PAGES, *PROJECT_PAGES)}


def test_a_proof_that_is_gone_is_noticed() -> None:
    assert "test_a_proof_that_is_gone_is_noticed" in names_in("tests/rules/test_satre.py")
    assert "test_never_written" not in names_in("tests/rules/test_satre.py")
    assert "/<project>/people/" in pages()
    assert "/<project>/peoples/" not in pages()
