"""Pictures of the documentation: every one that a page shows is there and small, and none lies about unused."""

import re
import struct
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
MOST_BYTES = 150_000
MOST_PICTURES = 14


def shown() -> list[tuple[Path, str, Path]]:
    """The page, the words for who cannot see, and the file, of each picture of each page."""
    return [
        (page, words, (page.parent / target).resolve())
        for page in PAGES
        for words, target in SHOWN.findall(page.read_text())
    ]


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height in pixels, by the head of a PNG file."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n"), f"{picture.name} is no PNG"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_every_picture_that_is_shown_is_there_with_words_for_who_cannot_see_it() -> None:
    assert shown()
    assert [f"{page.name}: {file.name}" for page, _, file in shown() if not file.is_file()] == []
    assert [f"{page.name}: {file.name}" for page, words, file in shown() if len(words.split()) < 4] == []


def test_no_picture_is_unused() -> None:
    assert {file for _, _, file in shown()} == {path.resolve() for path in FOLDER.iterdir()}


def test_pictures_are_few_and_small() -> None:
    pictures = sorted(FOLDER.iterdir())
    assert len(pictures) <= MOST_PICTURES
    assert [path.name for path in pictures if path.stat().st_size > MOST_BYTES] == []
    assert [path.name for path in pictures if size_of(path)[0] != 1280] == []


def test_each_is_made_by_the_recipe() -> None:
    """`./just pictures` makes those that it has a line for, and no other."""
    script = (ROOT / "scripts/screenshots.py").read_text()
    named = re.search(r"^SHOWN = \{(.*?)^\}", script, re.MULTILINE | re.DOTALL)
    assert named is not None
    assert sorted(re.findall(r'^    "([\w-]+)":', named[1], re.MULTILINE)) == sorted(
        path.stem for path in FOLDER.iterdir()
    )
