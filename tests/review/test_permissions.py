"""What each level opens: every kind of thing tried with every level, in the table and at the site's door."""

from itertools import combinations

import pytest
from tests.support.review import WORKSPACE, add_account, add_request, browse

from carrel.review import settings
from carrel.review.models import LevelGrant
from carrel.review.permissions import LEVELS, Data, may_open, refusal_to_open

FILES = {
    "high_privacy/workspaces/survival/output/rows.csv": Data.HIGHLY_SENSITIVE,
    "high_privacy/workspaces/survival/metadata/count.log": Data.HIGHLY_SENSITIVE,
    "high_privacy/logs/2026-05/os-job-abc/logs.txt": Data.FULL_LOG,
    "high_privacy/volumes/abc/output/rows.csv": Data.ATTEMPT,
    "high_privacy/archives/survival.tar.gz": Data.ARCHIVE,
    "medium_privacy/workspaces/survival/output/table.csv": Data.MODERATELY_SENSITIVE,
    "medium_privacy/workspaces/survival/output/rows.csv.txt": Data.MODERATELY_SENSITIVE,
    "medium_privacy/workspaces/survival/metadata/count.log": Data.MODERATELY_SENSITIVE,
    "medium_privacy/workspaces/survival/metadata/manifest.json": Data.MODERATELY_SENSITIVE,
    "medium_privacy/requests/survival/01HX/0123abc": Data.REQUESTED,
    "medium_privacy/releases/01HX/north/output/table.csv": Data.RELEASED,
}
SETS = [set(levels) for number in range(4) for levels in combinations(LEVELS, number)]


@pytest.mark.parametrize("levels", SETS, ids=str)
def test_every_kind_of_thing_with_every_set_of_levels(levels: set[int]) -> None:
    for data in Data:
        is_allowed = data.value.level in levels
        assert may_open(levels, data) is is_allowed
        assert (refusal_to_open(levels, data) == "") is is_allowed


def test_every_kind_of_file_is_in_the_table_and_is_opened_by_the_level_of_its_store() -> None:
    for path, data in FILES.items():
        assert path.startswith(data.value.folders)
        assert data.value.level == (3 if path.startswith("high") else 4)
        assert data.value.is_on_site is path.startswith("medium")
    assert set(FILES.values()) == set(Data) - {Data.DATABASE}


@pytest.mark.django_db
@pytest.mark.parametrize("levels", SETS, ids=str)
def test_the_site_is_open_to_level_4_alone(levels: set[int]) -> None:
    account = add_account("ann", WORKSPACE)
    add_request(account)
    LevelGrant.objects.all().delete()
    for level in levels:
        LevelGrant.objects.create(account=account, backend=settings.get().backend, level=level, granted_by="a test")
    # Of another backend, it opens nothing here.
    LevelGrant.objects.create(account=account, backend="south", level=4, granted_by="a test")
    assert browse(account).get("/").status_code == (200 if 4 in levels else 403)
