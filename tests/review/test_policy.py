"""The backend's policy: defaults, its own file, and the place of every mistake."""

import re
from pathlib import Path

import pytest
from tests.support.review import WORKSPACE, add_account, viewer_for

from carrel.project import LEVEL4_FILE_TYPES
from carrel.review import policy, settings
from carrel.review.policy import ReviewPolicy, read_policy
from carrel.units.settings import SettingsError

PAGE = Path(__file__).parents[2] / "docs/reference/review-policy.md"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy.yaml"
    monkeypatch.setenv("REVIEW_POLICY", str(path))
    settings.get.cache_clear()
    return path


def test_without_a_file_the_defaults_hold() -> None:
    assert policy.get() == ReviewPolicy()
    assert policy.get().checkers_of("Visits") == 2
    assert tuple(policy.get().file_types) == LEVEL4_FILE_TYPES
    assert policy.get().allows("a/b.CSV")
    assert not policy.get().allows("a.pdf")
    assert not policy.get().allows("csv")


def test_a_changed_file_holds_at_once(file: Path) -> None:
    file.write_text("checkers: 1\nprojects: {Visits: {checkers: 3}}\nfile_types: [.csv, .pdf]\n")
    assert (policy.get().checkers_of("Visits"), policy.get().checkers_of("Other")) == (3, 1)
    assert policy.get().allows("a.pdf")
    file.write_text("checkers: 4\n")
    assert policy.get().checkers == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("checkers: 0", ":1:11: checkers: Input should be greater than or equal to 1"),
        ("checkers: two", ":1:11: checkers: Input should be a valid integer"),
        ("projects:\n  Visits:\n    checkers: 0", ":3:15: checkers"),
        ("file_types: [.csv, .exe]", ":1:20: file_types: '.exe' is no type"),
        ("file_types: []", ":1:13: file_types"),
        ("chekers: 2", ":1:10: `chekers` is no key"),
        ("visibility: {checkers_comments: secret}", ":1:33: checkers_comments"),
        ("checkers: 1\ncheckers: 2", ":2:1: found duplicate key"),
        ("disclosure:\n  rounded_to: no", ":2:15: disclosure.rounded_to: must be a whole number"),
        ("disclosure: {banana: 1}", ":1:22: disclosure.banana: is no setting"),
        ("a: [", "did not find expected node content"),
        ("\xff\xfe", "cannot be read: it is not UTF-8"),
    ],
)
def test_mistakes_have_their_place(file: Path, text: str, says: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=re.escape(says)):
        policy.get()


def test_a_missing_file_is_said(file: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        policy.get()


def test_the_sample_has_every_key_with_its_default(tmp_path: Path) -> None:
    sample = tmp_path / "sample.yaml"
    sample.write_text(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    read = read_policy(sample)
    assert read.model_fields_set == set(ReviewPolicy.model_fields)
    assert read.visibility.model_fields_set == set(type(read.visibility).model_fields)
    assert read.projects["Visits by plan"].checkers == 3
    assert read.model_copy(update={"projects": {}}) == ReviewPolicy()


@pytest.mark.django_db
def test_copilots_and_readers_may_be_left_out(file: Path) -> None:
    account = add_account("ann", WORKSPACE, readonly_access=True)
    file.write_text("")
    assert viewer_for(account).may_read_all
    file.write_text("visibility: {readers_of_everything: false}")
    assert not viewer_for(account).may_read_all
