"""Settings: names and defaults of the contract, and a sentence for whatever is wrong."""

import pytest

from carrel.controller import settings
from carrel.units.settings import SettingsError
from carrel.web.databases import DatabaseUrlError, database_settings


@pytest.fixture
def env(controller_env):
    for name in ("TEST_MAX_WORKERS", "TPP_MAX_WORKERS", "DEFAULT_JOB_CPU_COUNT", "JOB_LOOP_INTERVAL"):
        controller_env.delenv(name, raising=False)
    return controller_env


def test_defaults_of_the_contract(env):
    for name in ("BACKENDS", "MAINTENANCE_ENABLED_BACKENDS", "DATA_CHECK_ENABLED_BACKENDS"):
        env.delenv(name)
    loaded = settings.load()
    assert loaded.backends == ["test", "tpp", "emis", "ted"]
    assert (loaded.backend("test").max_workers, loaded.backend("tpp").max_workers) == (2, 10)
    assert (loaded.backend("tpp").job_cpu_count, loaded.backend("tpp").job_memory_limit) == (2.0, "4G")
    assert (loaded.maintenance_enabled_backends, loaded.maintenance_poll_interval) == (["tpp"], 300)
    assert (loaded.level4_max_filesize, loaded.level4_max_csv_rows) == (16 * 1024 * 1024, 5000)
    assert loaded.docker_registry == "ghcr.io/opensafely-core"
    assert loaded.valid_database_names == ["default"]
    assert loaded.backend("tpp").job_timeout is None


def test_values_of_one_backend_come_from_variables_with_its_name(env):
    env.setenv("BACKENDS", "tpp, north-west")
    env.setenv("TPP_MAX_WORKERS", "15")
    env.setenv("NORTH_WEST_MAX_DB_WORKERS", "6")
    env.setenv("NORTH_WEST_JOB_TIMEOUT", "90m")
    env.setenv("NORTH_WEST_CLIENT_TOKENS", "a, b")
    loaded = settings.load()
    tpp, other = loaded.backend("tpp"), loaded.backend("north-west")
    assert (tpp.max_workers, tpp.max_db_workers) == (15, 15)
    assert (other.max_workers, other.max_db_workers, other.job_timeout) == (10, 6, 5400)
    assert other.client_tokens == ["a", "b"]
    assert loaded.capacity("gone").max_workers == 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("BACKENDS", "TPP", "BACKENDS: 'TPP' is not a backend's slug"),
        ("BACKENDS", "a,a", "none twice"),
        ("BACKENDS", "a-b,a_b", "none twice"),
        ("TEST_MAX_WORKERS", "many", "TEST_MAX_WORKERS: Input should be a valid number"),
        ("TEST_MAX_WORKERS", "0", "TEST_MAX_WORKERS: Input should be greater than 0"),
        ("TEST_IMAGES", "none", "TEST_IMAGES: Input should be 'registry' or 'local'"),
        ("TEST_JOB_TIMEOUT", "soon", "TEST_JOB_TIMEOUT: must be a length of time"),
        ("TEST_JOB_MEMORY_LIMIT", "big", "TEST_JOB_MEMORY_LIMIT: must be a size"),
        ("TEST_MAX_JOB_CPU_COUNT", "1", "JOB_CPU_COUNT is above MAX_JOB_CPU_COUNT"),
        ("TEST_MAX_JOB_MEMORY_LIMIT", "1G", "JOB_MEMORY_LIMIT is above MAX_JOB_MEMORY_LIMIT"),
        ("VALID_DATABASE_NAMES", "Default!", "not a database's name"),
        ("WORKSPACE_EHRQL_MAX_JOIN_COUNT", "x", "workspace_ehrql_max_join_count"),
    ],
)
def test_a_wrong_value_stops_with_a_sentence(env, name, value, sentence):
    env.setenv(name, value)
    with pytest.raises(SettingsError, match="The environment cannot be used") as refused:
        settings.load()
    assert sentence in str(refused.value)


def test_database_urls(tmp_path):
    assert database_settings("", tmp_path)["NAME"] == str(tmp_path / "db.sqlite")
    assert database_settings("sqlite:////abs/x.sqlite", tmp_path)["NAME"] == "/abs/x.sqlite"
    made = database_settings("postgresql://me:p%40ss@db.example:5433/name?sslmode=require", tmp_path)
    assert (made["USER"], made["PASSWORD"], made["HOST"], made["PORT"]) == ("me", "p@ss", "db.example", "5433")
    assert (made["NAME"], made["OPTIONS"]) == ("name", {"sslmode": "require"})


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://host/", "nonsense"])
def test_a_database_url_that_cannot_be_used(url, tmp_path):
    with pytest.raises(DatabaseUrlError, match="CARREL_DATABASE_URL"):
        database_settings(url, tmp_path)
