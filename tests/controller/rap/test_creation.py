"""Creating jobs: what is stored, every refusal in the contract's words, and many workers at once."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.controller.rap.conftest import PROJECT, Api, new_study, rap_environment

from carrel.messages.rap import RapCreateRequest


@pytest.fixture
def requests(database, rap_env, study):
    """Makes request bodies; `create` runs one in this process, without HTTP."""
    return Api("", study)


def create(requests, **changes):
    from carrel.controller import creation

    return creation.create(RapCreateRequest.model_validate(requests.body(**changes)))


def refusal(requests, **changes):
    from carrel.controller.creation import CreationError

    with pytest.raises(CreationError) as error:
        create(requests, **changes)
    return str(error.value)


def outage(requests, **changes):
    from carrel.controller.creation import CreationUnavailable

    with pytest.raises(CreationUnavailable) as error:
        create(requests, **changes)
    return str(error.value)


def jobs(rap_id):
    from carrel.controller import service

    return {job.action: job for job in service.rap_jobs(rap_id)}


# -- what is stored


def test_jobs_hold_all_that_their_definitions_need(requests):
    scope = {"dataset_permissions": ["ukrr", "icnarc"], "population_permissions": ["include_t1oo"], "other": 1}
    made = jobs(create(requests, analysis_scope=scope).rap_id)
    extract, model, plot = made["extract"], made["model"], made["plot"]
    assert list(made) == ["extract", "model", "plot"], "what an action needs comes before it"
    assert extract.run_command == ("ehrql:v1 generate-dataset analysis/dataset.py --output output/dataset.csv.gz")
    assert (extract.requires_db, extract.database_name) == (True, "default")
    assert extract.analysis_scope == {
        "dataset_permissions": ["icnarc", "ukrr"],
        "population_permissions": ["include_t1oo"],
    }
    assert (model.requires_db, model.database_name, model.analysis_scope) == (False, None, None)
    assert (model.needs, model.wait_for_job_ids) == (["extract"], [extract.id])
    assert plot.wait_for_job_ids == [model.id]
    assert (model.input_job_ids, plot.input_job_ids) == ({"extract": extract.id}, {"model": model.id})
    assert model.output_spec == {"output/model.csv": "moderately_sensitive"}
    assert (model.repo_url, model.commit) == (str(requests.study.path), requests.study.commit)


def test_a_job_id_is_derived_from_the_request_and_the_action(requests):
    from carrel.jobs.identifiers import job_id

    answer = create(requests, rap_id="a" * 16)
    assert {job.id for job in jobs(answer.rap_id).values()} == {
        job_id("a" * 16, action) for action in ("extract", "model", "plot")
    }


def test_projects_with_event_level_data(requests, rap_env):
    rap_env.setenv("EVENT_LEVEL_DATA_PROJECTS", "one, the-project")
    created = jobs(create(requests).rap_id)
    assert created["extract"].analysis_scope == {"component_access": ["event_level_data"]}
    assert created["model"].analysis_scope is None


@pytest.mark.parametrize("projects", [None, "", ",", " , ", "one,,two"])
def test_a_request_without_a_project_never_gets_event_level_data(requests, rap_env, projects):
    if projects is not None:
        rap_env.setenv("EVENT_LEVEL_DATA_PROJECTS", projects)
    assert jobs(create(requests, project="").rap_id)["extract"].analysis_scope == {}


def test_config_becomes_an_argument(requests):
    requests.study.write(
        "version: '5'\nactions:\n  a:\n    run: python:v2 python a.py\n    config: {who: it's me}\n"
        "    outputs: {highly_sensitive: {x: o/x.csv}}\n"
    )
    made = jobs(create(requests, requested_actions=["a"]).rap_id)
    assert made["a"].run_command == """python:v2 python a.py --config '{"who": "it\\u0027s me"}'"""


def test_resources_and_backends(requests):
    requests.study.write(
        "version: '5'\nrun_on: [test, tpp]\nactions:\n  a:\n    run: {test: 'python:v2 python a.py'}\n"
        "    resources: {cpus: 1.5, memory: 2G, timeout: 6h}\n    outputs: {highly_sensitive: {x: o/x.csv}}\n"
        "  b:\n    run_on: [tpp]\n    run: python:v2 python b.py\n    outputs: {highly_sensitive: {x: o/y.csv}}\n"
    )
    made = jobs(create(requests, requested_actions=["run_all"]).rap_id)
    assert list(made) == ["a"], "b does not run on this backend"
    assert (made["a"].cpu_count, made["a"].memory_limit, made["a"].timeout_seconds) == (1.5, "2G", 6 * 3600)
    assert refusal(requests, requested_actions=["b"]) == "Action 'b' not found in project.yaml"


def test_the_side_file_is_read(requests):
    requests.study.write(PROJECT, backends_yaml="run_on: [tpp]\n")
    assert "test" in refusal(requests), "the study does not run on this backend"


def test_later_requests_wait_for_or_reuse_what_is_there(requests):
    from carrel.controller.models import Job

    first = jobs(create(requests, requested_actions=["model"]).rap_id)
    Job.objects.filter(pk=first["extract"].pk).update(state="succeeded", status_code="succeeded")
    second = jobs(create(requests, requested_actions=["plot"]).rap_id)
    assert list(second) == ["plot"]
    assert second["plot"].wait_for_job_ids == [first["model"].id]
    Job.objects.filter(pk=first["model"].pk).update(state="succeeded", status_code="succeeded")
    third = create(requests, requested_actions=["model"], force_run_dependencies=True)
    assert third.count == 2


# -- refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workspace": ""}, "Workspace name cannot be blank"),
        ({"workspace": "a b"}, "Invalid workspace name (allowed are alphanumeric, dash and underscore)"),
        ({"workspace": "a\n"}, "Invalid workspace name (allowed are alphanumeric, dash and underscore)"),
        ({"workspace": "w" * 256}, "Invalid workspace name (longer than 255 characters)"),
        ({"backend": "nope"}, "Invalid backend 'nope', allowed are: test, tpp"),
        ({"database_name": "slice"}, "Invalid database name 'slice', allowed are: default"),
        (
            {"repo_url": "http://x.example/y"},
            "Repository URL http://x.example/y does not start with https://github.com",
        ),
        ({"branch": ""}, "A branch name must be supplied"),
        ({"branch": "nope"}, "Could not find branch 'nope'"),
        ({"commit": "f" * 40}, f"Could not find commit on branch 'main': {'f' * 40}"),
        ({"requested_actions": ["plto"]}, "Action 'plto' not found in project.yaml"),
        ({"codelists_ok": False}, "Codelists are out of date (required by action extract)"),
    ],
)
def test_refusals_in_the_contracts_words(requests, changes, message):
    from carrel.controller.models import Job, Rap

    assert refusal(requests, **changes) == message
    assert not Job.objects.exists()
    recorded = list(Rap.objects.values_list("outcome", "outcome_details"))
    assert recorded in ([("error", message)], []), "recorded, where the request could have a row at all"


def test_an_action_whose_name_is_too_long_for_a_file(requests):
    requests.study.write(PROJECT.replace("plot:", "p" * 256 + ":"))
    assert refusal(requests, requested_actions=["p" * 256])


def test_no_project_file(requests):
    requests.study.git("rm", "-q", "project.yaml")
    requests.study.write(None)
    assert refusal(requests) == f"No project.yaml file found in {requests.study.path}"


def test_no_repository(requests, tmp_path):
    assert refusal(requests, repo_url=str(tmp_path / "none")) == f"Could not read from {tmp_path / 'none'}"


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ("", "project.yaml"),
        ("- a\n", "project.yaml"),
        ("version: '5'\nactions: {a: {", "project.yaml"),
        (PROJECT.replace("needs: [extract]", "needs: [plot]"), "model"),
        (PROJECT.replace("python analysis/plot.py", "python 'analysis/plot.py"), "plot"),
        (PROJECT.replace("run: python:v2 python analysis/plot.py", "run: '  '"), "plot"),
        (PROJECT.replace("needs: [model]", "needs: [1]"), "plot"),
        (PROJECT.replace("version: '5'", "version: '99'"), "version"),
        (PROJECT.replace("output/plot.png", "../plot.png"), "../plot.png"),
    ],
)
def test_faulty_projects_are_explained_not_unknown_errors(requests, project, words):
    requests.study.write(project)
    message = refusal(requests)
    assert words in message
    assert "Traceback" not in message


def test_other_databases_once_they_are_configured(requests, rap_env):
    from carrel.controller import settings

    rap_env.setenv("VALID_DATABASE_NAMES", "default,slice")
    settings.get.cache_clear()
    made = jobs(create(requests, database_name="slice").rap_id)
    assert made["extract"].database_name == "slice"
    assert made["model"].database_name is None


def test_a_job_too_heavy_for_its_pool_is_refused_at_once(requests, workdir):
    (workdir / "job-resource-weights_test.ini").write_text("[ws]\nmodel = 5\nplot = 2\n")
    message = refusal(requests)
    assert message.startswith("Action 'model' takes 5 workers, and this backend has 2: it could never start.")
    (workdir / "job-resource-weights_test.ini").write_text("[ws]\nmodel = 2\n[default]\npython.*plot.* = 1.5\n")
    made = jobs(create(requests).rap_id)
    assert {action: job.weight for action, job in made.items()} == {"extract": 1, "model": 2, "plot": 1.5}


def outcome_of(body):
    from carrel.controller.models import Rap

    return Rap.objects.get(pk=body["rap_id"]).outcome


def outages(monkeypatch, workdir):
    """What may be away, by name: how to take it away, and what the answer says."""
    from carrel.controller import creation, images
    from carrel.repos import NetworkError

    def raising(error):
        def broken(*_args, **_more):
            raise error

        return broken

    weights = workdir / "job-resource-weights_test.ini"
    return {
        "git host": (lambda: monkeypatch.setattr(creation, "_read_study", raising(NetworkError("down"))), "down"),
        "registry": (
            lambda: monkeypatch.setattr(images, "make_known", raising(images.DigestUnavailable("no registry"))),
            "no registry",
        ),
        "weights": (lambda: weights.write_text("nonsense"), "The weights file of backend 'test' cannot be used"),
    }


@pytest.mark.parametrize("what", ["git host", "registry", "weights"])
def test_an_outage_is_told_as_one_and_leaves_the_request_open(api, monkeypatch, workdir, what):
    body = api.body()
    with monkeypatch.context() as patch:
        take_away, words = outages(patch, workdir)[what]
        take_away()
        answer = api.post("rap/create/", body)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["error"] == "Error creating jobs"
    assert answer.json()["details"].startswith(words)
    assert outcome_of(body) == ""
    (workdir / "job-resource-weights_test.ini").unlink(missing_ok=True)
    assert api.post("rap/create/", body).status_code == 201


def test_another_clients_backend_is_an_unknown_error(api):
    answer = api.create(backend="tpp")
    assert answer.json() == {"error": "Error creating jobs", "details": "Unknown error"}
    assert api.create(backend="nope").json()["details"] == "Invalid backend 'nope', allowed are: test, tpp"


def test_a_fault_of_ours_is_told_in_no_detail_and_leaves_the_request_open(api, monkeypatch):
    from carrel.controller import creation

    def broken(*_args):
        raise RuntimeError("secret inside")

    body = api.body()
    with monkeypatch.context() as patch:
        patch.setattr(creation, "_read_study", broken)
        answer = api.post("rap/create/", body)
    assert answer.status_code == 500
    assert re.fullmatch(r"Unknown error \(reference [0-9a-f]{8}\)", answer.json()["details"])
    assert api.post("rap/create/", body).status_code == 201


# -- many at once


def outcomes(created):
    return sorted(str(answer.result) for answer in created)


def test_one_request_sent_by_many_threads_is_created_once(requests):
    from django.db import connection

    body = RapCreateRequest.model_validate(requests.body())

    def send(_number):
        from carrel.controller import creation

        try:
            return creation.create(body)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert outcomes(answers) == ["No change"] * 5 + ["Success"]
    assert {answer.count for answer in answers} == {3}
    assert len(jobs(body.rap_id)) == 3


@pytest.mark.parametrize("fault", [False, True])
def test_a_request_that_another_worker_creates_while_we_read_git(requests, monkeypatch, fault):
    """Its jobs are then active, and there is "nothing to do" for us: but what we must answer is that they exist."""
    from carrel.controller import creation
    from carrel.repos import NetworkError

    body = RapCreateRequest.model_validate(requests.body())
    read = creation._read_study

    def overtaken(*args):
        monkeypatch.setattr(creation, "_read_study", read)
        assert creation.create(body).result == "Success"
        if fault:
            raise NetworkError("down")
        return read(*args)

    monkeypatch.setattr(creation, "_read_study", overtaken)
    answer = creation.create(body)
    assert (answer.result, answer.count) == ("No change", 3)


def fail_before_lock(monkeypatch, *actions):
    """Each time the commands are looked up, the next of these actions' jobs turns out to have failed."""
    from carrel.controller import creation
    from carrel.controller.models import Job

    look_up, coming = creation._look_up, list(actions)

    def overtaken(*args):
        look_up(*args)
        if coming:
            Job.objects.filter(action=coming.pop(0)).update(state="failed", status_code="job_error")

    monkeypatch.setattr(creation, "_look_up", overtaken)


def test_a_need_that_fails_while_commands_are_looked_up_is_run_too(requests, monkeypatch):
    from carrel.controller.models import Job

    create(requests, requested_actions=["model"])
    Job.objects.update(state="succeeded", status_code="succeeded")
    fail_before_lock(monkeypatch, "model", "extract")
    assert list(jobs(create(requests, requested_actions=["plot"]).rap_id)) == ["extract", "model", "plot"]


def test_what_never_stops_changing_is_given_up(requests, monkeypatch):
    from carrel.controller import creation
    from carrel.controller.models import Job

    create(requests, requested_actions=["model"])
    Job.objects.update(state="succeeded", status_code="succeeded")
    fail_before_lock(monkeypatch, "model")
    monkeypatch.setattr(creation, "PLANS_AT_MOST", 1)
    with pytest.raises(creation.CreationUnavailable, match="please try again"):
        create(requests, requested_actions=["plot"])


SCRIPT = """
import json, sys
import django
django.setup()
from carrel.controller import creation
from carrel.messages.rap import RapCreateRequest
answers = [creation.create(RapCreateRequest.model_validate(body)) for body in json.loads(sys.argv[1])]
print(json.dumps([answer.model_dump(mode="json") for answer in answers]))
"""


def process(database, workdir, tmp_path, bodies, **env):
    import json

    from tests.controller.conftest import environment

    environ = {**os.environ, **environment(workdir), **rap_environment(tmp_path), **env}
    environ |= {"CARREL_DATABASE_URL": database.url, "DJANGO_SETTINGS_MODULE": "carrel.web.settings"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(bodies)]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results(processes):
    import json

    said = [process.communicate(timeout=120) for process in processes]
    assert [errors for _, errors in said] == [""] * len(said)
    return [answer for text, _ in said for answer in json.loads(text)]


def test_one_request_sent_to_many_processes_is_created_once(requests, database, workdir, tmp_path):
    body = requests.body()
    answers = results([process(database, workdir, tmp_path, [body]) for _ in range(3)])
    assert sorted(answer["result"] for answer in answers) == ["No change", "No change", "Success"]
    assert len(jobs(body["rap_id"])) == 3


def test_many_requests_for_the_same_actions_run_each_action_once(requests, database, workdir, tmp_path):
    """Planned under the lock, each sees what the others have just made: no action is started twice."""
    from carrel.controller.models import Job

    bodies = [[requests.body(requested_actions=["plot", "model"])] for _ in range(3)]
    answers = results([process(database, workdir, tmp_path, one) for one in bodies])
    assert sorted((answer["result"], answer["count"]) for answer in answers) == [
        ("Nothing to do", 0),
        ("Nothing to do", 0),
        ("Success", 3),
    ]
    assert sorted(Job.objects.values_list("action", flat=True)) == ["extract", "model", "plot"]


@pytest.mark.parametrize(
    "place",
    ["controller.rap.opened", "repos.fetched", "controller.jobs.inserted", "controller.jobs.created"],
)
def test_killed_and_sent_again(requests, database, workdir, tmp_path, place):
    body = requests.body()
    killed = process(database, workdir, tmp_path, [body], CARREL_FAULT=place)
    killed.communicate(timeout=120)
    assert killed.returncode == -9
    create_again = create(requests, rap_id=body["rap_id"])
    assert create_again.count == 3
    assert len(jobs(body["rap_id"])) == 3


# -- reusable actions


ACTION = "run: python:v2 python /app/report.py\n"


MERGE_BOMB = "a0: &a0 {k: 1}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n" for level in range(1, 13)
)


def with_action(requests, tmp_path, action_yaml=ACTION, tag="v1", image="report:v1"):
    files = {"action_yaml": action_yaml} if action_yaml is not None else {"README": "none"}
    made = new_study(tmp_path / "actions" / "report", None, **files)
    if tag:
        made.git("tag", tag)
    requests.study.write(
        f"version: '5'\nactions:\n  a:\n    run: {image} --title 'My report' out\n    config: {{x: 1}}\n"
        "    outputs: {highly_sensitive: {x: o/x.csv}}\n"
    )
    return made


def test_a_reusable_action_takes_the_place_of_the_first_word(requests, tmp_path):
    action = with_action(requests, tmp_path)
    job = jobs(create(requests, requested_actions=["a"]).rap_id)["a"]
    assert job.run_command == """python:v2 python /app/report.py --title 'My report' out --config '{"x": 1}'"""
    assert (job.repo_url, job.commit, job.reusable_action) == (str(action.path), action.commit, "report:v1")
    assert job.output_spec == {"o/x.csv": "highly_sensitive"}
    assert job.rap.commit == requests.study.commit


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"image": "re.port:v1"}, "'re.port' contains invalid characters"),
        (
            {"image": "nope:v1"},
            "could not find a repo at {org}/nope\n"
            "Check that 'nope' is in the list of available actions at https://actions.opensafely.org",
        ),
        ({"image": "report:v9"}, "'v9' is not a tag listed in {org}/report/tags"),
        (
            {"action_yaml": None},
            "{org}/report/tree/v1 doesn't look like a valid action (no 'action.yaml' file present)",
        ),
        ({"action_yaml": "name: x\n"}, "{invalid}Missing `run` key in 'action.yaml'"),
        (
            {"action_yaml": "[1"},
            "{invalid}'action.yaml' is not valid YAML: action.yaml:2:1: "
            "while parsing a flow sequence: did not find expected ',' or ']'",
        ),
        (
            {"action_yaml": "run: python:v2 a\nrun: r:v2 b\n"},
            "{invalid}'action.yaml' is not valid YAML: action.yaml:2:1: "
            'found duplicate key "run" with value "r:v2 b"',
        ),
        ({"action_yaml": MERGE_BOMB}, "{invalid}Missing `run` key in 'action.yaml'"),
        ({"action_yaml": "run: bash:v1 x\n"}, "{invalid}Unrecognised runtime: bash"),
        ({"action_yaml": "run: report:v1 x\n"}, "{invalid}Unrecognised runtime: report"),
        (
            {"action_yaml": "run: ehrql:v1 generate-dataset x\n"},
            "{invalid}Re-usable actions cannot run commands which access the database",
        ),
        ({"action_yaml": "run: python:v2 'x\n"}, "{invalid}`run` in 'action.yaml' has unbalanced quotes"),
        ({"action_yaml": "run: [1]\n"}, "{invalid}`run` in 'action.yaml' is not a string"),
        ({"action_yaml": "run: ''\n"}, "{invalid}Unrecognised runtime: "),
        (
            {"action_yaml": "run: python x\n"},
            "{invalid}The runtime python in 'action.yaml' has no version (e.g. python:v2)",
        ),
    ],
)
def test_reusable_actions_that_cannot_be_used(requests, tmp_path, made, message):
    with_action(requests, tmp_path, **made)
    org = tmp_path / "actions"
    invalid = f"invalid action, please open an issue on {org}/report/issues\n\n  ReusableActionError: "
    said = refusal(requests, requested_actions=["a"])
    assert said == f"in 'a: {made.get('image', 'report:v1')}' " + message.format(org=org, invalid=invalid)


def test_a_reusable_action_whose_file_is_a_link(requests, tmp_path):
    action = with_action(requests, tmp_path, tag="")
    (action.path / "action.yaml").unlink()
    (action.path / "action.yaml").symlink_to("run: python:v2 python x.py")
    action.write(None, x="linked")
    action.git("tag", "v1")
    said = refusal(requests, requested_actions=["a"])
    assert said.endswith("is a symbolic link: put the file itself there")


def test_a_reusable_action_and_its_arguments_are_too_much_together(requests, tmp_path):
    with_action(requests, tmp_path, action_yaml="run: python:v2 " + "y " * 200_000)
    assert refusal(requests, requested_actions=["a"]) == (
        "in 'a: report:v1' the command has 200004 arguments, which take 2000080 bytes, and Linux takes 1966080 "
        "at most; put them into a file of the study that the program reads"
    )


def test_a_project_file_that_is_a_link(requests):
    requests.study.write(None, x="y")
    (requests.study.path / "project.yaml").unlink(missing_ok=True)
    (requests.study.path / "project.yaml").symlink_to("{version: 5, actions: {}}")
    requests.study.write(None, x="z")
    assert refusal(requests, requested_actions=["a"]).endswith("is a symbolic link: put the file itself there")


def test_a_reusable_action_must_be_merged(requests, tmp_path):
    action = with_action(requests, tmp_path, tag="")
    action.git("checkout", "-q", "-b", "draft")
    action.write(None, x="draft")
    action.git("tag", "v1")
    assert refusal(requests, requested_actions=["a"]) == (
        "in 'a: report:v1' tag 'v1' has not yet been approved for use (not merged into main branch)"
    )


def test_a_host_that_is_down_while_reusable_actions_are_looked_up(requests, tmp_path, rap_env):
    from tests.support.waiting import free_port

    with_action(requests, tmp_path)
    rap_env.setenv("ACTIONS_GITHUB_ORG_URL", "https://github.com/opensafely-actions")
    rap_env.setenv("GITHUB_PROXY_DOMAIN", f"http://127.0.0.1:{free_port()}")
    assert outage(requests, requested_actions=["a"]).startswith(
        "Network error when reading https://github.com/opensafely-actions/report: cannot connect"
    )


def test_each_reusable_action_is_looked_up_once_a_request(requests, tmp_path, monkeypatch):
    from carrel.repos import Mirrors

    with_action(requests, tmp_path)
    requests.study.write(
        "version: '5'\nactions:\n"
        + "".join(
            f"  a{n}:\n    run: report:v1 {n}\n    outputs: {{highly_sensitive: {{x: o/{n}.csv}}}}\n" for n in range(4)
        )
    )
    asked = []
    resolve = Mirrors.resolve_tag
    monkeypatch.setattr(Mirrors, "resolve_tag", lambda *args: (asked.append(args), resolve(*args))[1])
    assert create(requests, requested_actions=["run_all"]).count == 4
    assert len(asked) == 1
