"""Tags to digests, asked of a real registry: open, behind a password, behind a token server, down, and forgotten."""

import hashlib
import subprocess
from datetime import timedelta

import httpx
import pytest
from tests.controller.rap.conftest import PROJECT, Api
from tests.controller.rap.test_creation import create, jobs, outage, refusal
from tests.support import registry as support
from tests.support.docker import docker_engine

__all__ = ["docker_engine"]


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Folder of a registry that holds two images."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def pushed(storage, tmp_path_factory):
    with support.registry(tmp_path_factory.mktemp("push"), storage) as host:
        return {name: support.push(host, f"org/{name}", name.encode()) for name in ("python:v2", "ehrql:v1")}


@pytest.fixture
def open_registry(tmp_path, storage, pushed):
    with support.registry(tmp_path, storage) as host:
        yield host


def ask(host, image="python:v2", **credentials):
    from carrel.controller.registry import Registry

    with Registry(**credentials) as registry:
        return registry.digest(f"{host}/org/{image}")


def test_no_authentication(open_registry, pushed):
    assert ask(open_registry) == pushed["python:v2"]


def test_an_image_that_is_not_there(open_registry):
    from carrel.controller.registry import ImageNotFound

    for image in ("python:v9", "nope:v1"):
        with pytest.raises(ImageNotFound, match=f"There is no image {open_registry}/org/{image}"):
            ask(open_registry, image)


def test_a_password(tmp_path, storage, pushed):
    from carrel.controller.registry import ImageNotFound

    (tmp_path / "htpasswd").write_text(support.HTPASSWD)
    auth = f"auth: {{htpasswd: {{realm: x, path: {tmp_path / 'htpasswd'}}}}}\n"
    with support.registry(tmp_path, storage, auth) as host:
        assert ask(host, username=support.USER, password=support.PASSWORD) == pushed["python:v2"]
        for wrong in ({}, {"username": support.USER, "password": "wrong-pw"}):
            with pytest.raises(ImageNotFound) as error:
                ask(host, **wrong)
            assert "wrong-pw" not in str(error.value)


@pytest.mark.parametrize("anonymous", [True, False])
def test_tokens(tmp_path, storage, pushed, anonymous):
    from carrel.controller.registry import ImageNotFound

    with support.token_server(tmp_path) as tokens:
        tokens.anonymous = anonymous
        with support.registry(tmp_path, storage, tokens.auth) as host:
            credentials = {} if anonymous else {"username": support.USER, "password": support.PASSWORD}
            assert ask(host, **credentials) == pushed["python:v2"]
            assert tokens.asked[0][0] == {"service": ["carrel-registry"], "scope": ["repository:org/python:pull"]}
            if not anonymous:
                with pytest.raises(ImageNotFound):
                    ask(host)


def test_docker_agrees_about_the_digest(open_registry, docker_engine):
    """Pushed by docker itself, the digest docker tells is the one that we are told."""
    image = f"{open_registry}/org/carrel-c2-test:v1"
    subprocess.run(["docker", "import", "-", image], input=b"\0" * 10240, capture_output=True, check=True)
    try:
        said = subprocess.run(["docker", "push", "-q", image], capture_output=True, text=True, check=True)
        found = subprocess.run(
            ["docker", "inspect", "--format", "{{index .RepoDigests 0}}", image], capture_output=True, text=True
        )
    finally:
        subprocess.run(["docker", "rmi", "-f", image], capture_output=True, check=True)
    assert said.stdout.strip() == image
    assert found.stdout.strip() == f"{open_registry}/org/carrel-c2-test@{ask(open_registry, 'carrel-c2-test:v1')}"


@pytest.mark.parametrize(
    ("image", "host", "path", "tag"),
    [
        ("ghcr.io/org/python:v2", "ghcr.io", "org/python", "v2"),
        ("localhost:5000/python", "localhost:5000", "python", "latest"),
        ("[::1]:5000/a/b:c", "[::1]:5000", "a/b", "c"),
        ("org/python:v2", "registry-1.docker.io", "org/python", "v2"),
        ("python:v2", "registry-1.docker.io", "library/python", "v2"),
    ],
)
def test_references(image, host, path, tag):
    from carrel.controller.registry import Reference

    assert Reference.parse(image) == Reference(host, path, tag)


# -- remembered


@pytest.fixture
def requests(database, rap_env, study, open_registry):
    from carrel.controller import settings

    rap_env.setenv("DOCKER_REGISTRY", f"{open_registry}/org")
    rap_env.setenv("TEST_IMAGES", "registry")
    settings.get.cache_clear()
    return Api("", study)


def remembered():
    from carrel.controller.models import ImageDigest

    return {row.image.rsplit("/", 1)[1]: row.digest for row in ImageDigest.objects.all()}


def registry_goes_down(rap_env):
    from carrel.controller import settings
    from carrel.controller.models import ImageDigest

    port = support.free_port()
    before = settings.get().docker_registry
    rap_env.setenv("DOCKER_REGISTRY", f"127.0.0.1:{port}/org")
    settings.get.cache_clear()
    for row in list(ImageDigest.objects.all()):
        name = row.image.replace(before, f"127.0.0.1:{port}/org")
        ImageDigest.objects.create(image=name, digest=row.digest, fetched_at=row.fetched_at)
        ImageDigest.objects.filter(pk=row.image).delete()


def test_digests_are_learnt_when_jobs_are_created_and_told_to_the_agent(requests, pushed):
    from carrel.controller.models import Task

    create(requests)
    assert remembered() == pushed
    (task,) = Task.objects.all()
    assert task.definition["image_sha"] == pushed["ehrql:v1"]


def test_a_known_digest_needs_no_registry(requests, rap_env, pushed):
    from carrel.controller.models import ImageDigest

    create(requests)
    registry_goes_down(rap_env)
    assert create(requests, workspace="w2").count == 3
    row = ImageDigest.objects.first()
    ImageDigest.objects.update(fetched_at=row.fetched_at - timedelta(days=90))
    assert create(requests, workspace="w3").count == 3, "however old, when nothing newer can be had"
    assert remembered() == pushed


def test_an_unknown_image_and_no_registry(requests, rap_env):
    registry_goes_down(rap_env)
    message = outage(requests)
    assert message.startswith("The registry 127.0.0.1:")
    assert message.endswith("does not answer (ConnectError) (This may work if you try again later)")


def test_an_image_that_does_not_exist_is_refused_at_once(requests):
    requests.study.write(
        "version: '5'\nactions: {a: {run: 'python:v99 x', outputs: {highly_sensitive: {x: o/x.csv}}}}\n"
    )
    assert "There is no image" in refusal(requests, requested_actions=["a"])


def test_commands_are_read_as_a_shell_would(requests, pushed):
    requests.study.write(
        "version: '5'\nactions: {a: {run: '  \"python:v2\"\tx', outputs: {highly_sensitive: {x: o/x.csv}}}}\n"
    )
    create(requests, requested_actions=["a"])
    assert remembered() == {"python:v2": pushed["python:v2"]}


def test_an_image_whose_name_is_too_long_to_be_one(requests):
    requests.study.write(PROJECT.replace("ehrql:v1", f"ehrql:v{'1' * 300}"))
    assert "longer than 255 characters" in refusal(requests)


def test_a_stale_digest_is_asked_again_a_fresh_one_not(requests, pushed):
    from carrel.controller import clock
    from carrel.controller.models import ImageDigest

    create(requests)
    ImageDigest.objects.update(digest="sha256:" + "0" * 64)
    create(requests, workspace="w2")
    assert set(remembered().values()) == {"sha256:" + "0" * 64}, "fresh: believed"
    ImageDigest.objects.update(fetched_at=clock.now() - timedelta(hours=1))
    create(requests, workspace="w3")
    assert remembered() == pushed
    ImageDigest.objects.update(fetched_at=clock.now() - timedelta(hours=1), digest="sha256:" + "0" * 64)
    create(requests, workspace="w4")
    assert remembered() == pushed


def regular_task():
    """The definition of a new status task of `test`."""
    from carrel.controller import settings
    from carrel.controller.models import Task
    from carrel.controller.service import maintenance

    object.__setattr__(settings.get(), "maintenance_enabled_backends", ["test"])
    Task.objects.all().delete()
    maintenance.keep_regular_tasks("test")
    return Task.objects.get().definition


def test_a_regular_task_carries_the_digest_of_its_image(requests, rap_env):
    from carrel.controller import settings
    from carrel.controller.models import ImageDigest

    host = settings.get().docker_registry
    digest = support.push(host.removesuffix("/org"), "org/tpp-database-utils:latest", b"utils")
    expected = {"database_name": "default", "image": f"{host}/tpp-database-utils:latest", "image_sha": digest}
    assert regular_task() == expected
    registry_goes_down(rap_env)
    assert regular_task()["image_sha"] == digest, "remembered"
    ImageDigest.objects.all().delete()
    assert regular_task()["image_sha"] is None


def test_a_regular_task_of_a_backend_with_images_of_its_own_asks_no_registry(requests, rap_env):
    rap_env.setenv("TEST_IMAGES", "local")
    registry_goes_down(rap_env)
    assert regular_task()["image_sha"] is None
    assert remembered() == {}


def test_a_digest_learnt_for_one_backend_is_not_told_to_one_with_images_of_its_own(requests, rap_env, pushed):
    from carrel.controller.models import Task

    create(requests)
    create(requests, backend="tpp")
    assert {task.backend: task.definition["image_sha"] for task in Task.objects.all()} == {
        "test": pushed["ehrql:v1"],
        "tpp": None,
    }


def test_local_images_ask_no_registry(requests, rap_env):
    rap_env.setenv("TEST_IMAGES", "local")
    registry_goes_down(rap_env)
    assert jobs(create(requests).rap_id)
    assert remembered() == {}


# -- registries that are odd


def odd(answer, **credentials):
    """A registry client whose every request is answered by `answer(request)`."""
    from carrel.controller.registry import Registry

    registry = Registry(**credentials)
    registry._http.close()
    registry._http = httpx.Client(transport=httpx.MockTransport(answer))
    with registry:
        return registry.digest("registry.example/org/x:v1")


def test_without_the_header_the_digest_is_that_of_the_manifest():
    digest = odd(lambda request: httpx.Response(200, content=b"" if request.method == "HEAD" else b"manifest"))
    assert digest == f"sha256:{hashlib.sha256(b'manifest').hexdigest()}"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
        httpx.Response(200, headers={"Docker-Content-Digest": "md5:1"}),
    ],
)
def test_answers_that_are_no_digest_are_faults_of_the_registry(answer):
    from carrel.controller.registry import ImageNotFound, RegistryError

    with pytest.raises(RegistryError) as error:
        odd(lambda request: answer)
    assert not isinstance(error.value, ImageNotFound)


@pytest.mark.parametrize("token", [httpx.Response(503), httpx.Response(200, text="?"), httpx.Response(200, json=[])])
def test_token_servers_that_give_none(token):
    from carrel.controller.registry import ImageNotFound

    challenge = httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://t.example/",service="s"'})
    with pytest.raises(ImageNotFound):
        odd(lambda request: token if request.url.host == "t.example" else challenge)


def test_credentials_are_never_sent_over_plain_http_to_a_token_server():
    from carrel.controller.registry import RegistryError

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"
        return httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="http://evil.example/t",service="s"'})

    with pytest.raises(RegistryError, match="plain HTTP"):
        odd(answer, username="u", password="p")
