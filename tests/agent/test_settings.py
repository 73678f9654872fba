"""Settings, images, databases: what a job may have follows from them."""

from pathlib import Path

import pytest

from carrel.agent import databases, settings
from carrel.agent.errors import DatabaseRefused, DatabaseUnavailable
from carrel.agent.images import ImagePolicy
from carrel.agent.preparation import memory_limit_of
from carrel.agent.settings import AgentSettings
from carrel.jobs.outcomes import ErrorType
from carrel.messages.tasks import JobDefinition, StudyCommit
from carrel.project import action_names
from carrel.units.settings import SettingsError


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    def build(**env: str) -> AgentSettings:
        needed = {"BACKEND": "test", "CONTROLLER_TASK_API_ENDPOINT": "http://localhost:1"}
        for key, value in {**needed, **env}.items():
            monkeypatch.setenv(key, value)
        return settings.load()

    return build


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"BACKEND": "x"}, "BACKEND is 'x', which is not in BACKENDS (test,tpp,emis,ted)"),
        ({"BACKEND": ""}, "BACKEND must be set in the environment"),
        ({"CONTROLLER_TASK_API_ENDPOINT": "localhost"}, "must be a URL that starts with http:// or https://"),
        ({"PRESTO_TLS_CERT_PATH": "/x"}, "must be set both or neither"),
        ({"STATS_POLL_INTERVAL": "1"}, "STATS_POLL_INTERVAL: Input should be greater than or equal to 2"),
        ({"EXECUTOR": "process", "DEFAULT_DATABASE_URL": "x"}, "EXECUTOR=process runs jobs without any isolation"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(load, env: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**env)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("word", "meaning"), [("true", True), ("1", True), ("YES", True), ("no", False), ("0", False)])
def test_words_of_truth(load, word: str, meaning: bool) -> None:
    assert load(USING_DUMMY_DATA_BACKEND=word).using_dummy_data_backend is meaning


def test_folders_default_to_the_work_folder(load, tmp_path: Path) -> None:
    storage = load(WORKDIR=str(tmp_path)).storage
    assert storage.high == tmp_path / "high_privacy"
    assert storage.medium == tmp_path / "medium_privacy"
    assert storage.volumes == tmp_path / "high_privacy/volumes"


def test_secrets_are_never_shown(load) -> None:
    found = load(CONTROLLER_TASK_API_TOKEN="hush", DEFAULT_DATABASE_URL="postgresql://u:pw@h/d")
    assert "hush" not in repr(found)
    assert found.secrets() == {"hush", "postgresql://u:pw@h/d"}


def test_database_urls_by_name() -> None:
    env = {"DEFAULT_DATABASE_URL": "a", "FULL_DATABASE_URL": "b", "CARREL_DATABASE_URL": "c", "SLICE_DATABASE_URL": ""}
    assert settings.database_urls(env) == {"default": "a", "full": "b"}


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("ghcr.io/opensafely-core/python:v2", True),
        ("proxy.example.org/core/python:v2@sha256:0", True),
        ("ghcr.io/opensafely-core/evil:v1", False),
        ("docker.io/python:v2", False),
        ("python:v2", False),
        ("ghcr.io/opensafely-core/../python:v2", False),
    ],
)
def test_images(image: str, allowed: bool) -> None:
    policy = ImagePolicy("ghcr.io/opensafely-core", "proxy.example.org/core", ("python",))
    assert policy.allows(image) is allowed


def test_images_are_pulled_from_the_proxy_if_there_is_one() -> None:
    assert ImagePolicy("reg/core", "proxy/core").pull_reference("reg/core/python:v2") == "proxy/core/python:v2"
    assert ImagePolicy("reg/core").pull_reference("reg/core/python:v2") == "reg/core/python:v2"


def _job(**changes: object) -> JobDefinition:
    fields = {
        "id": "j", "rap_id": "r", "repo_url": "u", "commit": "c", "workspace": "w", "action": "a", "created_at": 0,
        "study": StudyCommit(git_repo_url="u", commit="c", branch="b"), "image": "ghcr.io/x/sqlrunner:v1",
        "args": ["q.sql"],
        "allow_database_access": True, "database_name": "default",
    }  # fmt: skip
    return JobDefinition.model_validate({**fields, **changes})


def test_no_database_for_those_that_ask_for_none(load, tmp_path: Path) -> None:
    found = databases.grant_access(_job(allow_database_access=False), load(DEFAULT_DATABASE_URL="x://y"), tmp_path)
    assert found == databases.Access()


@pytest.mark.parametrize("args", [["generate-measures-x"], []])
def test_no_database_for_what_is_no_database_action(load, tmp_path: Path, args: list[str]) -> None:
    with pytest.raises(DatabaseRefused):
        databases.grant_access(
            _job(image="ghcr.io/x/ehrql:v1", args=args), load(DEFAULT_DATABASE_URL="x://y"), tmp_path
        )


def test_a_dummy_backend_gives_neither_database_nor_network(load, tmp_path: Path) -> None:
    found = databases.grant_access(
        _job(), load(USING_DUMMY_DATA_BACKEND="true", DEFAULT_DATABASE_URL="x://y"), tmp_path
    )
    assert found == databases.Access()


def test_an_unconfigured_name_says_what_to_set(load, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="set FULL_DATABASE_URL"):
        databases.grant_access(_job(database_name="full"), load(), tmp_path)


def test_a_server_is_reached_by_address_over_its_own_network(load, tmp_path: Path) -> None:
    url = "mssql+pymssql://u:p@localhost:1433/d"
    found = databases.grant_access(_job(), load(DEFAULT_DATABASE_URL=url, TEMP_DATABASE_NAME="tmp"), tmp_path)
    assert found.env == {"DATABASE_URL": url, "TEMP_DATABASE_NAME": "tmp"}
    assert (found.network.mode, found.network.name) == ("database", "jobrunner-db")
    assert found.network.hosts["localhost"] in ("127.0.0.1", "::1")


def test_an_address_needs_no_look_up(load, tmp_path: Path) -> None:
    found = databases.grant_access(_job(), load(DEFAULT_DATABASE_URL="postgresql://u:p@10.0.0.1/d"), tmp_path)
    assert found.network.hosts == {}


@pytest.mark.parametrize("slashes", ["//", "///"])
def test_a_file_database_is_shown_read_only_and_pinned(load, tmp_path: Path, slashes: str) -> None:
    path = tmp_path / "north.duckdb"
    path.write_text("old")
    found = databases.grant_access(_job(), load(DEFAULT_DATABASE_URL=f"duckdb:{slashes}{path}"), tmp_path / "pins")
    assert found.env == {"DATABASE_URL": "duckdb:///database/north.duckdb"}
    assert found.network.mode == "none"
    [mount] = found.mounts
    assert (mount.target, mount.writable) == ("/database/north.duckdb", False)
    (tmp_path / "new").write_text("new")
    (tmp_path / "new").replace(path)
    assert mount.source.read_text() == "old"
    assert str(found.version).endswith("/3")


def test_a_file_database_that_is_not_there(load, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        databases.grant_access(_job(), load(DEFAULT_DATABASE_URL=f"duckdb://{tmp_path}/none"), tmp_path)


def test_a_delta_tables_version_is_passed_on(load, tmp_path: Path) -> None:
    log = tmp_path / "table/_delta_log"
    log.mkdir(parents=True)
    for number in (0, 3):
        (log / f"{number:020}.json").touch()
    found = databases.grant_access(_job(), load(DEFAULT_DATABASE_URL=f"delta://{tmp_path}/table"), tmp_path / "pins")
    assert found.version == "delta:3"
    assert found.env == {"DATABASE_URL": "delta:///database/table?version=3"}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4G", 4 << 30),
        ("512m", 512 << 20),
        ("1.5g", 3 << 29),
        ("100", 100),
        ("2GiB", 2 << 30),
        ("8gb", 8 << 30),
        ("", None),
    ],
)
def test_memory_as_docker_reads_it(text: str, size: int | None) -> None:
    assert memory_limit_of(text) == size


@pytest.mark.parametrize("text", ["lots", "4X", "-", "0", "-1G", "inf", "nan", "9999999T"])
def test_memory_that_makes_no_sense(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        memory_limit_of(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [(b"actions: {b: {}, a: {}}", ["a", "b"]), (b"actions: [", None), (b"x: 1", None), (b"[]", None), (b"\xff", None)],
)
def test_names_of_a_studys_actions(text: bytes, names: list[str] | None) -> None:
    assert action_names(text) == names


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/agent.md").read_text()
    assert [name for name in AgentSettings.model_fields if f"`{name.upper()}`" not in page] == []


def test_every_word_for_a_fault_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/agent.md").read_text()
    sent_otherwise = {ErrorType.TIMED_OUT}
    assert [str(kind) for kind in ErrorType if f"`{kind}`" not in page and kind not in sent_otherwise] == []


def test_a_backend_adds_to_the_list_of_columns_that_may_identify_people(load, tmp_path: Path) -> None:
    assert "nhs_number" in load().disclosure_policy.identifiers
    assert load().level4_bars_identifiers is False
    (tmp_path / "names.txt").write_text("trial_number # ours\n")
    extended = load(IDENTIFIER_COLUMNS="casenote", IDENTIFIER_COLUMNS_FILE=str(tmp_path / "names.txt"))
    assert {"nhs_number", "casenote", "trial_number"} <= set(extended.disclosure_policy.identifiers)


@pytest.mark.parametrize(
    ("data", "why"), [(None, "cannot be read: No such"), (b"\xff", "is not UTF-8"), (b"a\n" * (1 << 20), "longer than")]
)
def test_a_list_that_cannot_be_read_stops_the_start(load, tmp_path: Path, data: bytes | None, why: str) -> None:
    if data is not None:
        (tmp_path / "names.txt").write_bytes(data)
    with pytest.raises(SettingsError, match=f"IDENTIFIER_COLUMNS_FILE: .*{why}"):
        load(IDENTIFIER_COLUMNS_FILE=str(tmp_path / "names.txt"))
