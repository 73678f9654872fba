from click.testing import CliRunner

from carrel.cli.main import carrel
from carrel.cli.settings_in_force import MASK, in_force, shown


def test_where_a_setting_came_from(monkeypatch):
    monkeypatch.setenv("EXECUTOR", "bubblewrap")
    monkeypatch.delenv("DOCKER_REGISTRY", raising=False)
    rows = {name: (value, source) for name, value, source in in_force("local")}
    assert rows["EXECUTOR"] == ("bubblewrap", "environment")
    assert rows["DOCKER_REGISTRY"][1] == "default"


def test_secrets_are_masked(monkeypatch):
    for name, value in {
        "BACKEND": "tpp",
        "CONTROLLER_TASK_API_ENDPOINT": "http://localhost:1",
        "CONTROLLER_TASK_API_TOKEN": "hunter2",
        "DEFAULT_DATABASE_URL": "postgresql://u:hunter2@h/d",
        "TPP_CLIENT_TOKENS": "hunter2",
        "TPP_JOB_SERVER_TOKEN": "hunter2",
        "BACKENDS": "tpp",
    }.items():
        monkeypatch.setenv(name, value)
    for process in ("agent", "controller"):
        result = CliRunner().invoke(carrel, ["config", "show", "--process", process])
        assert result.exit_code == 0, result.exception
        assert "hunter2" not in result.output
        assert MASK in result.output


def test_values_as_text():
    assert shown("backends", ["a", "b"]) == "a,b"
    assert shown("token", "") == ""
    assert shown("stata_license", "x") == MASK
    assert shown("timeout", None) == ""
