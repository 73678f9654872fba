"""docs/reference/configuration.md is what the settings classes say, and every setting is explained there."""

from pathlib import Path

from carrel.cli.configuration import page, sections

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_the_page_is_what_the_settings_say():
    assert PAGE.read_text() == page(), "python -m carrel.cli.configuration > docs/reference/configuration.md"


def test_every_setting_is_explained():
    unexplained = [name for _, settings in sections() for name, _, words in settings if not words]
    assert unexplained == []
