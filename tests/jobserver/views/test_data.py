"""The data catalogue: search over all backends, a table side by side, history, who uses it. Never a hidden backend."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from tests.support.jobserver import (
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
    browse,
)
from tests.support.showcase_site import add_catalogue, catalogue_of

from carrel.jobserver import settings
from carrel.jobserver.data_catalogue import changes_between, columns_of, entries_of
from carrel.jobserver.models import DataUse, Job
from carrel.jobserver.service.data_use import read_some
from carrel.messages.catalogue import Catalogue

PATIENTS = {"patient_id": "bigint", "sex": "varchar"}


def read(backend: str, tables: dict[str, dict[str, str]], **fields: Any) -> Catalogue:
    return Catalogue.model_validate(catalogue_of(backend, tables, **fields))


def test_columns_stand_side_by_side() -> None:
    tables = [
        next(entries_of(read("north", {"patients": PATIENTS}))).table,
        next(entries_of(read("south", {"patients": {"patient_id": "varchar", "age": "integer"}}))).table,
    ]
    rows = {row.name: row for row in columns_of(tables)}
    assert list(rows) == ["patient_id", "sex", "age"]
    assert rows["patient_id"].types_differ
    assert rows["patient_id"].is_everywhere
    assert not rows["age"].is_everywhere
    assert [bool(cell) for cell in rows["age"].cells] == [False, True]


def test_what_changed_between_two_versions() -> None:
    old = read("north", {"patients": PATIENTS, "old": PATIENTS, "same": PATIENTS})
    new = read("north", {"patients": {"patient_id": "varchar", "age": "int"}, "new": PATIENTS, "same": PATIENTS})
    changes = changes_between(old, new)
    assert (changes.added, changes.removed) == (("new",), ("old",))
    assert changes.changed == ("patients (+age, -sex, patient_id: other type)",)
    assert not changes_between(new, new)
    assert not changes_between(None, new)


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


@pytest.mark.django_db
class TestPages:
    def test_what_each_backend_has_and_how_to_be_given_access(self) -> None:
        words = {"access": "Ask the committee.", "dummy_data": "Made up.", "contact": "data@example.org"}
        add_catalogue(add_backend("north"), catalogue_of("north", {"patients": PATIENTS}, **words))
        add_backend("south")
        page = text(browse(), "/data/")
        for part in ("Ask the committee.", "Made up.", "Primary care", "29 November 2026", "It has not said yet"):
            assert part in page
        assert "about 12,300" in text(browse(), "/data/north/")
        assert "No table" in text(browse(), "/data/south/")

    def test_a_hidden_backend_shows_to_its_members_only(self) -> None:
        ann = add_person("ann")
        add_catalogue(add_backend("north"), catalogue_of("north", {"patients": PATIENTS}))
        west = add_backend("west", ann, is_listed=False)
        add_catalogue(west, catalogue_of("west", {"patients": PATIENTS, "secrets": {"hidden_column": "int"}}))
        for path in ("/data/", "/data/?q=hidden_column", "/data/table/?name=patients", "/search/?q=patients"):
            page = text(browse(), path)
            assert "west" not in page
            assert "secrets" not in page
        assert browse().get("/data/west/").status_code == 404
        assert browse().get("/data/west/history/").status_code == 404
        assert browse().get("/data/table/?name=secrets").status_code == 404
        assert "secrets" in text(browse(ann), "/data/?q=hidden_column")
        assert "west" in text(browse(ann), "/data/table/?name=patients")

    def test_a_table_of_two_backends_is_found_once_and_names_come_before_columns(self) -> None:
        add_catalogue(add_backend("north"), catalogue_of("north", {"stays": PATIENTS, "sexes": {"code": "int"}}))
        add_catalogue(add_backend("south"), catalogue_of("south", {"stays": PATIENTS}))
        page = text(browse(), "/data/?q=SEX")
        assert page.count("/data/table/?name=stays") == 1
        assert page.index("?name=sexes") < page.index("?name=stays")

    def test_a_table_says_what_is_missing_where(self) -> None:
        add_catalogue(add_backend("north"), catalogue_of("north", {"patients": PATIENTS}))
        add_catalogue(add_backend("south"), catalogue_of("south", {"patients": {"patient_id": "varchar"}}))
        add_catalogue(add_backend("west"), catalogue_of("west", {"other": PATIENTS}))
        page = text(browse(), "/data/table/?name=patients")
        assert page.count('<span class="bad">missing</span>') == 1
        assert "Not on west." in page
        assert "No use is known" in page

    def test_history(self) -> None:
        north = add_backend("north")
        add_catalogue(north, catalogue_of("north", {"patients": PATIENTS}), received_at=timezone.now() - timedelta(1))
        add_catalogue(north, catalogue_of("north", {"patients": PATIENTS, "visits": PATIENTS}))
        page = text(browse(), "/data/north/history/")
        assert "came: visits" in page
        assert "the first that can be compared" in page

    def test_a_catalogue_of_another_format_breaks_nothing(self) -> None:
        add_catalogue(add_backend("north"), {"format": 99})
        for path in ("/data/", "/data/north/", "/data/north/history/", "/data/?q=x", "/search/?q=patients"):
            text(browse(), path)

    def test_questions_do_not_grow_with_tables_and_backends(self, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]  # pytest-django's
        for number in range(5):
            tables = {f"t{table}": PATIENTS for table in range(30)}
            add_catalogue(add_backend(f"b{number}"), catalogue_of(f"b{number}", tables))
        text(browse(), "/data/")  # each process reads each version once
        with django_assert_max_num_queries(5):
            text(browse(), "/data/")
        with django_assert_max_num_queries(7):
            text(browse(), "/data/?q=t1")


@pytest.mark.django_db
class TestUse:
    @pytest.fixture
    def job(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
        """A database job that ended, of a study whose SQL reads two tables of the catalogue."""
        monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
        monkeypatch.setenv("WORKDIR", str(tmp_path / "workdir"))
        settings.get.cache_clear()
        study = tmp_path / "study"
        study.mkdir()
        (study / "q.sql").write_text("SELECT p.sex, v.cost FROM patients p JOIN visits v USING (patient_id)")
        (study / "project.yaml").write_text("version: '4.0'\nactions: {}\n")
        commands = ["init -q -b main", "add .", "-c user.name=a -c user.email=a@b commit -q -m x"]
        for command in commands:
            subprocess.run(["git", *command.split()], cwd=study, check=True)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=study, check=True, capture_output=True, text=True)
        north = add_backend("north")
        visits = {"patient_id": "bigint", "cost": "double"}
        add_catalogue(north, catalogue_of("north", {"patients": PATIENTS, "visits": visits, "unread": PATIENTS}))
        project = add_project("alpha", north)
        person = add_person("ann", "ProjectDeveloper", project=project, fullname="Ann Lee")
        run = add_run(add_workspace(project, "study", repo_url=str(study)), person, commit=commit.stdout.strip())
        hour_ago = timezone.now() - timedelta(hours=1)
        yield add_job(
            add_request(run, north), "extract", created_at=hour_ago, requires_db=True,
            run_command="sqlrunner:v1 --output output/x.csv q.sql",
        )  # fmt: skip
        settings.get.cache_clear()

    def test_the_tables_that_a_job_read(self, job: Job) -> None:
        assert read_some(timezone.now()) == 1
        assert read_some(timezone.now()) == 0
        uses = DataUse.objects.order_by("table_name")
        assert [(use.table_name, use.user.username, use.version) for use in uses] == [
            ("patients", "ann", "42"),
            ("visits", "ann", "42"),
        ]
        page = text(browse(), "/data/table/?name=patients")
        assert f"/alpha/study/{job.request.run_id}/{job.identifier}/" in page
        assert "Ann Lee" in page
        assert "Ann Lee" not in text(browse(), "/data/table/?name=unread")
        page = text(browse(), "/alpha/data/")
        assert "visits" in page
        [entry] = browse().get("/register/?format=json").json()["projects"]
        assert entry["data_used"] == ["patients", "visits"]

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"run_command": "ehrql:v1 generate-dataset x.py"}, "what ehrql reads is not looked into"),
            ({"run_command": "sqlrunner:v1 --output x.csv missing.sql"}, "missing.sql is not in the study"),
            ({"run_command": "sqlrunner:v1 'q"}, ""),
        ],
    )
    def test_what_cannot_be_told_is_not_known(self, job: Job, fields: dict[str, str], reason: str) -> None:
        Job.objects.update(**fields)
        assert read_some(timezone.now()) == 1
        use = DataUse.objects.get()
        assert use.table_name == ""
        assert reason in use.reason
        assert "not known" in text(browse(), "/alpha/data/")

    def test_a_repository_that_is_away_is_asked_again(self, job: Job, tmp_path: Path) -> None:
        other = add_workspace(job.workspace.project, "gone", repo_url=str(tmp_path / "missing"))
        Job.objects.update(workspace=other)
        read_some(timezone.now())
        assert not DataUse.objects.exclude(table_name="").exists()

    def test_uses_of_a_hidden_project_are_for_its_members(self, job: Job) -> None:
        read_some(timezone.now())
        project = job.workspace.project
        project.is_listed = False
        project.save()
        assert "No use is known" in text(browse(), "/data/table/?name=patients")
        assert browse().get("/alpha/data/").status_code == 404
        assert "Ann Lee" in text(browse(job.request.created_by), "/data/table/?name=patients")

    def test_jobs_that_use_no_database_or_never_began_are_left_alone(self, job: Job) -> None:
        Job.objects.update(requires_db=False)
        assert read_some(timezone.now()) == 0
        Job.objects.update(requires_db=True, started_at=None)
        assert read_some(timezone.now()) == 0
