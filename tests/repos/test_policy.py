"""Which repositories may be read, in the words of the contract (controller.md 2.2)."""

import base64

import pytest

from carrel.repos import RepoNotAllowed, RepoPolicy

POLICY = RepoPolicy(allowed_github_orgs=("opensafely", "other"), private_repo_access_token="ghp_secret")


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/opensafely/study",
        "https://github.com/other/a.b-c_d",
        "https://github.com/opensafely/study/",
        "https://github.com/opensafely/study.git",
    ],
)
def test_allowed(url):
    POLICY.check(url)


STARTS = "Repository URL {} does not start with https://github.com"
BELONGS = "Repository {} does not belong to one of the following Github organisations: opensafely other"
FORMAT = "Repository {} was not of the expected format: https://github.com/[organisation]/[project-name]"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://github.com/opensafely/x", STARTS),
        ("https://github.com.evil.example/opensafely/x", STARTS),
        ("/srv/repo", STARTS),
        ("", STARTS),
        ("https://github.com/bad/x", BELONGS),
        ("https://github.com", BELONGS),
        ("https://github.com/opensafely", FORMAT),
        ("https://github.com/opensafely/..", FORMAT),
        ("https://github.com/opensafely/a/b", FORMAT),
        ("https://github.com/opensafely/a?x=1", FORMAT),
        ("https://github.com/opensafely/a\n", FORMAT),
    ],
)
def test_refused(url, message):
    with pytest.raises(RepoNotAllowed) as error:
        POLICY.check(url)
    assert str(error.value) == message.format(url)


def test_credentials_in_a_url_are_refused_and_not_shown():
    with pytest.raises(RepoNotAllowed) as error:
        POLICY.check("https://u:theirs@github.com/opensafely/x")
    assert str(error.value) == STARTS.format("https://********@github.com/opensafely/x")


def test_local_repositories_only_where_allowed():
    RepoPolicy(allow_local_git_repos=True).check("/srv/repo")
    with pytest.raises(RepoNotAllowed):
        RepoPolicy().check("/srv/repo")


def test_no_organisation_allowed_means_none():
    with pytest.raises(RepoNotAllowed):
        RepoPolicy(allowed_github_orgs=()).check("https://github.com/opensafely/x")


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("", "https://github.com/o/x"),
        ("github-proxy.example.org", "https://github-proxy.example.org/o/x"),
        ("http://mirror.example:8080/", "http://mirror.example:8080/o/x"),
    ],
)
def test_the_proxy_stands_in_for_github(domain, expected):
    assert RepoPolicy(github_proxy_domain=domain).fetch_url("https://github.com/o/x") == expected


def test_local_repositories_use_the_file_protocol_and_no_token():
    policy = RepoPolicy(allow_local_git_repos=True, private_repo_access_token="ghp_secret")
    assert policy.git_config("/srv/x") == {"protocol.allow": "never", "protocol.file.allow": "always"}
    assert policy.secrets("/srv/x") == {}
    assert "protocol.file.allow" not in policy.git_config("https://github.com/opensafely/x")


def test_the_token_shows_nowhere():
    url = "https://github.com/opensafely/x"
    assert "ghp_secret" not in repr(POLICY)
    assert "ghp_secret" not in str(POLICY.git_config(url))
    assert POLICY.redact(f"ghp_secret {POLICY.secrets(url)}").count("********") == 2
    basic = base64.b64encode(b"jobrunner-ctrl:ghp_secret").decode()
    assert POLICY.redact(f"Authorization: Basic {basic}") == "Authorization: Basic ********"


ELSEWHERE = RepoPolicy(allowed_git_urls=("https://git.example.org/studies", "http://10.0.0.7:3000/"))


@pytest.mark.parametrize(
    "url", ["https://git.example.org/studies/a", "https://git.example.org/studies/b/c.git", "http://10.0.0.7:3000/a"]
)
def test_hosts_of_ones_own(url):
    ELSEWHERE.check(url)
    assert ELSEWHERE.fetch_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/studies",
        "https://git.example.org/studies-of-others/a",
        "https://git.example.org/studies/../secret",
        "https://git.example.org.evil.example/studies/a",
        "https://u:p@git.example.org/studies/a",
        "http://git.example.org/studies/a",
        "http://10.0.0.7:30001/a",
        "https://git.example.org/studies/a?x=1",
        "https://git.example.org/studies/a\n",
        "file:///srv/a",
    ],
)
def test_no_way_out_of_what_is_allowed(url):
    with pytest.raises(RepoNotAllowed):
        ELSEWHERE.check(url)
