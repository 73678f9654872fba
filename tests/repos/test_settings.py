"""Settings of the git room, from the environment."""

import pytest

from carrel.repos import RepoSettings


def test_defaults_are_the_contracts(monkeypatch):
    for name in ("ALLOWED_GITHUB_ORGS", "ALLOW_LOCAL_GIT_REPOS", "GITHUB_PROXY_DOMAIN", "PRIVATE_REPO_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    policy = RepoSettings().policy("ctrl")
    assert policy.allowed_github_orgs == ("opensafely", "opensafely-actions")
    assert not policy.allow_local_git_repos
    assert policy.fetch_url("https://github.com/a/b") == "https://github-proxy.opensafely.org/a/b"


def test_from_the_environment(monkeypatch):
    monkeypatch.setenv("ALLOWED_GITHUB_ORGS", "one, two,")
    monkeypatch.setenv("PRIVATE_REPO_ACCESS_TOKEN", "ghp_secret")
    settings = RepoSettings()
    assert settings.policy("tpp").allowed_github_orgs == ("one", "two")
    assert settings.policy("tpp").token_user == "jobrunner-tpp"
    assert settings.policy("tpp").private_repo_access_token == "ghp_secret"
    assert "ghp_secret" not in repr(settings)


@pytest.mark.parametrize(("text", "allowed"), [("true", True), ("True", False), ("1", False), ("false", False)])
def test_local_repositories_are_allowed_by_one_word_only(monkeypatch, text, allowed):
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", text)
    assert RepoSettings().allow_local_git_repos is allowed
