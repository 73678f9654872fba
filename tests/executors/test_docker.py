"""Docker passes the conformance suite, and what is its own: registries, the database network, owners, crashes."""

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.executors.conformance import (
    Bench,
    Contained,
    Images,
    Isolated,
    Lifecycle,
    Limited,
    Startable,
    Talkative,
    agent_that_dies,
)
from tests.executors.conformance import bench as make_bench
from tests.support.docker import Registry, docker
from tests.support.http_server import Handler, serving
from tests.support.waiting import until

from carrel.executors.base import (
    ExecutorError,
    ImageUnavailable,
    Network,
    NotSupported,
    Phase,
    RuntimeUnavailable,
)
from carrel.executors.choice import ExecutorSettings
from carrel.executors.containers import is_lost
from carrel.executors.docker import DockerExecutor, capabilities
from carrel.executors.engine import demultiplex
from carrel.executors.references import full_reference, split_reference

pytestmark = pytest.mark.docker


@pytest.fixture
def bench(tmp_path: Path, docker_image: str) -> Iterator[Bench]:
    given = ExecutorSettings(
        executor="docker", owner=f"test-{uuid.uuid4().hex}", tmp_bytes=32 << 20, state_dir=tmp_path / "state"
    )
    with make_bench(given, docker_image, tmp_path / "work") as made:
        yield made


class TestLifecycle(Lifecycle):
    pass


class TestStartable(Startable):
    pass


class TestTalkative(Talkative):
    pass


class TestContained(Contained):
    pass


class TestLimited(Limited):
    pass


class TestImages(Images):
    pass


class TestIsolated(Isolated):
    pass


def test_the_default_seccomp_profile_is_in_force(bench: Bench) -> None:
    code = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('Seccomp:')))"
    assert bench.answer(bench.python(code)) == 2


def test_another_user_may_not_even_write_to_dev(bench: Bench) -> None:
    bench.executor = bench.another(user=(4711, 4712))
    spec = bench.python("import json, os; print(json.dumps([os.getuid(), os.getgid(), os.access('/dev', os.W_OK)]))")
    spec.workspace.chmod(0o777)
    assert bench.answer(spec) == [4711, 4712, False]


def test_two_owners_do_not_see_each_other(bench: Bench) -> None:
    name = bench.start(bench.spec("true"))
    assert name in bench.executor.list()
    assert name not in bench.another(owner="somebody-else").list()


@pytest.mark.parametrize("point", ["executors.docker.created", "executors.docker.started"])
def test_the_agent_killed_while_it_starts_a_job(bench: Bench, point: str) -> None:
    spec = bench.spec("sh", "-c", "echo ran >> runs.txt; exit 3")
    agent_that_dies(bench, spec, fault=point)
    assert spec.name in bench.executor.list()
    if point.endswith("created"):
        assert bench.executor.inspect(spec.name).phase == Phase.ABSENT
        bench.executor.start(spec)
    assert bench.ended(spec.name).exit_code == 3
    assert (spec.workspace / "runs.txt").read_text() == "ran\n"


def test_an_image_is_pulled_once_by_its_digest(bench: Bench, local_registry: Registry) -> None:
    before = local_registry.requests("GET /v2/carrel-test/python/blobs/")
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: _prepare(bench, local_registry), range(8)))
    after = local_registry.requests("GET /v2/carrel-test/python/blobs/")
    assert len(ids) == 1
    assert after - before <= 2  # its configuration and its one layer, if the engine has not got it already
    manifests = local_registry.requests("/manifests/")
    assert _prepare(bench, local_registry) in ids
    assert local_registry.requests("/manifests/") == manifests
    spec = replace(bench.spec("sh", "-c", "exit 9"), image=local_registry.image, image_sha=local_registry.digest)
    end = bench.run(spec)
    assert (end.exit_code, {end.image_id}) == (9, ids)


def _prepare(bench: Bench, registry: Registry) -> str:
    return bench.executor.prepare_image(registry.image, registry.digest)


def test_a_digest_that_the_registry_has_not(bench: Bench, local_registry: Registry) -> None:
    with pytest.raises(ImageUnavailable, match=r"could not be pulled.*Check the name"):
        bench.executor.prepare_image(local_registry.image, "sha256:" + "0" * 64)


def test_a_registry_that_is_down(bench: Bench) -> None:
    with pytest.raises(ImageUnavailable, match=r"127.0.0.1:1/x/y:v1.*could not be pulled"):
        bench.executor.prepare_image("127.0.0.1:1/x/y:v1", None)


def test_a_registry_that_hangs(bench: Bench) -> None:
    over = threading.Event()

    class Hanging(Handler):
        def do_GET(self) -> None:
            over.wait(30)

    with serving(Hanging) as url:
        impatient = bench.another(pull_seconds=0.5)
        with pytest.raises(ImageUnavailable, match=r"did not come within 0.5 seconds \(IMAGE_PULL_TIMEOUT\)"):
            impatient.prepare_image(f"{url.removeprefix('http://')}/x/y:v1", None)
        over.set()


def test_a_local_image_may_be_named_by_its_id(bench: Bench) -> None:
    found = bench.executor.prepare_image(bench.image, None)
    assert bench.executor.prepare_image(bench.image, found) == found
    with pytest.raises(ImageUnavailable):
        bench.another(pull=False).prepare_image(bench.image, "sha256:" + "1" * 64)


def test_the_database_network_reaches_the_database_and_no_names(bench: Bench) -> None:
    network = f"carrel-test-{uuid.uuid4().hex[:8]}"
    server = f"{network}-db"
    docker("network", "create", "--internal", network)
    try:
        listen = "import socket; s = socket.create_server(('', 5432)); c, _ = s.accept(); c.sendall(b'database')"
        docker("run", "--detach", "--name", server, "--network", network, bench.image, "python3", "-c", listen)
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = docker("inspect", "--format", template, server)
        code = """
            import json, socket, time
            for _ in range(100):
                try:
                    seen = socket.create_connection(("db.example", 5432), 5).makefile().read()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            def reached(host, port):
                try:
                    socket.create_connection((host, port), 2).close()
                    return True
                except OSError:
                    return False
            print(json.dumps([seen, reached("1.1.1.1", 53), reached("example.org", 80)]))
        """
        spec = bench.python(code, network=Network("database", network, {"db.example": address}))
        assert bench.answer(spec) == ["database", False, False]
    finally:
        docker("rm", "--force", server)
        for name in bench.names:
            bench.executor.remove(name)
        docker("network", "rm", network)


def test_a_database_network_must_have_a_name(bench: Bench) -> None:
    with pytest.raises(NotSupported, match="DATABASE_ACCESS_NETWORK"):
        bench.executor.start(bench.spec("true", network=Network(mode="database")))


def test_a_network_that_is_not_there_leaves_nothing(bench: Bench) -> None:
    spec = bench.spec("true", network=Network("database", "carrel-test-no-such-network"))
    with pytest.raises(ExecutorError, match="carrel-test-no-such-network"):
        bench.executor.start(spec)
    assert spec.name not in bench.executor.list()


def test_values_are_masked_in_the_record(bench: Bench) -> None:
    end = bench.run(bench.spec("true", env={"DATABASE_URL": "secret", "OPENSAFELY_BACKEND": "north"}))
    words = end.metadata["Config"]["Env"]
    assert "DATABASE_URL=xxxx-REDACTED-xxxx" in words
    assert "OPENSAFELY_BACKEND=north" in words


def test_flags_of_the_contract_and_tighter(bench: Bench) -> None:
    end = bench.run(bench.spec("true"))
    host = end.metadata["HostConfig"]
    expected = {
        "Init": True,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", "seccomp=carrel"],
        "NetworkMode": "none",
        "PidsLimit": 4096,
        "Privileged": False,
        "IpcMode": "private",
    }
    assert {key: host[key] for key in expected} == expected
    assert host["LogConfig"]["Config"]["max-file"] == "200"


def test_no_engine_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"There is no docker engine.*systemctl start docker"):
        DockerExecutor(owner="x", host=f"unix://{tmp_path}/docker.sock")


def test_an_engine_elsewhere_is_refused() -> None:
    with pytest.raises(RuntimeUnavailable, match="of this machine"):
        DockerExecutor(owner="x", host="tcp://example.org:2375")


# httpx leaves the socket of an attempt to connect that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_dies_ends_the_wait(bench: Bench, tmp_path: Path) -> None:
    """Through a relay, since the real engine is not ours to stop."""
    relay = tmp_path / "relay.sock"
    code = (
        "import socket, sys, threading\n"
        "def copy(a, b):\n"
        "    while data := a.recv(65536): b.sendall(data)\n"
        "server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen()\n"
        "while True:\n"
        "    one = server.accept()[0]; two = socket.socket(socket.AF_UNIX); two.connect('/var/run/docker.sock')\n"
        "    for pair in ((one, two), (two, one)): threading.Thread(target=copy, args=pair, daemon=True).start()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(relay)])
    try:
        until(relay.exists, "the relay")
        executor = until(lambda: _try(bench, relay), "an engine behind the relay")
        name = bench.start(bench.spec("sleep", "1000"))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(executor.wait, [name], 60.0)
            assert executor.inspect(name).phase == Phase.RUNNING
            process.kill()
            with pytest.raises(RuntimeUnavailable):
                waiting.result()
    finally:
        process.kill()
        process.wait()


def _try(bench: Bench, relay: Path) -> DockerExecutor | None:
    try:
        return bench.another(docker_host=f"unix://{relay}")
    except RuntimeUnavailable:
        return None


# --- values ------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


def _state(code: int, **more: object) -> dict[str, object]:
    times = {"StartedAt": (NOW - timedelta(hours=1)).isoformat(), "FinishedAt": NOW.isoformat()}
    return {"Status": "exited", "ExitCode": code, **times, **more}


@pytest.mark.parametrize(
    ("state", "booted", "engine", "lost"),
    [
        (_state(137), NOW - timedelta(days=9), NOW - timedelta(days=9), False),  # killed by an order
        (_state(0), NOW + timedelta(minutes=1), None, False),  # ended well before the reboot
        (_state(1), NOW + timedelta(minutes=1), None, False),
        (_state(143), NOW + timedelta(minutes=1), None, True),  # a clean shutdown
        (_state(137), NOW + timedelta(minutes=1), None, True),
        (_state(137, OOMKilled=True), NOW + timedelta(minutes=1), None, False),
        (_state(255), NOW - timedelta(minutes=1), NOW - timedelta(seconds=30), True),  # a crash of the machine
        (_state(255), NOW - timedelta(days=9), NOW - timedelta(seconds=30), True),  # a crash of the engine
        (_state(255), NOW - timedelta(days=9), NOW - timedelta(days=8), False),  # the study's own 255
        (_state(255), None, None, False),
    ],
)
def test_lost_or_not(state: dict[str, object], booted: datetime | None, engine: datetime | None, lost: bool) -> None:
    assert is_lost(state, booted, engine) is lost


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("python", "python", "latest"),
        ("python:v2", "python", "v2"),
        ("ghcr.io/x/python:v2", "ghcr.io/x/python", "v2"),
        ("127.0.0.1:5000/python", "127.0.0.1:5000/python", "latest"),
        ("127.0.0.1:5000/x/python:v2@sha256:1", "127.0.0.1:5000/x/python", "v2"),
    ],
)
def test_references(image: str, name: str, tag: str) -> None:
    assert split_reference(image) == (name, tag)
    assert full_reference(image, "sha256:9") == f"{name}@sha256:9"


@pytest.mark.parametrize("options", [[], ["name=apparmor"], ["name=seccomp,profile=unconfined"]])
def test_an_engine_without_seccomp_is_refused(options: list[str]) -> None:
    with pytest.raises(RuntimeUnavailable, match="seccomp"):
        capabilities("docker", {"SecurityOptions": options})


def test_capabilities_are_what_the_engine_says() -> None:
    found = capabilities(
        "podman", {"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"], "PidsLimit": False}
    )
    assert (found.name, found.memory_limit, found.cpu_limit, found.pids_limit) == ("podman", "none", "none", "none")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40))), st.integers(1, 9))
def test_demultiplex_gives_back_the_payloads_however_cut(frames: list[tuple[int, bytes]], size: int) -> None:
    stream = b"".join(bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for kind, data in frames)
    pieces = (stream[place : place + size] for place in range(0, len(stream), size))
    assert list(demultiplex(pieces)) == [data for _, data in frames]
