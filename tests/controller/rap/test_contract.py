"""The RAP API to the letter, over real HTTP (controller.md section 2.2)."""

import json

import pytest

READS = ["backend/status", "spec.json", "docs"]
WRITES = ["rap/create", "rap/cancel", "rap/status"]


def text(answer) -> str:
    return answer.content.decode()


# -- method, token, JSON, schema: in this order


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("path", "allowed"), [(p, "GET") for p in READS] + [(p, "POST") for p in WRITES])
def test_the_method_comes_first(api, path, allowed, slash):
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {allowed}:
        answer = api.request(method, path + slash, headers={"Authorization": "wrong"}, content=b"{")
        assert (answer.status_code, answer.content, answer.headers["Allow"]) == (405, b"", allowed)


@pytest.mark.parametrize("path", ["backend/status/", *WRITES])
def test_then_the_token(api, path):
    method = "GET" if path.startswith("backend") else "POST"
    answer = api.http.request(method, f"{api.url}/controller/v1/{path}", content=b"{")
    assert answer.status_code == 401
    assert text(answer) == '{"error":"Unauthorized","details":"No token provided"}'
    for wrong in ("nonsense", "Bearer nonsense", "Bearer", "test-client2", "Basic dGVzdA=="):
        answer = api.request(method, path, headers={"Authorization": wrong}, content=b"{")
        assert answer.status_code == 401
        assert text(answer) == '{"error":"Unauthorized","details":"Invalid token"}'


@pytest.mark.parametrize("token", ["test-client", "Bearer test-client", "bearer test-client"])
def test_the_token_alone_and_bearer_are_the_same(api, token):
    assert api.request("GET", "backend/status/", headers={"Authorization": token}).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"nope"])
@pytest.mark.parametrize("path", WRITES)
def test_then_the_json(api, path, body):
    answer = api.request("POST", path, content=body)
    assert answer.status_code == 400
    assert text(answer) == '{"error":"Validation error","details":"could not parse JSON from request body"}'


@pytest.mark.parametrize("depth", [50, 300, 500, 900, 5000])
def test_deep_nesting_is_no_fault_of_the_server(api, depth):
    body = json.dumps(api.body())[:-1] + ',"extra":' + "[" * depth + "]" * depth + "}"
    answer = api.request("POST", "rap/create/", content=body)
    assert answer.status_code in ((201,) if depth == 50 else (201, 400))
    if answer.status_code == 400:
        assert answer.json() == {"error": "Validation error", "details": "could not parse JSON from request body"}


def test_the_content_type_does_not_matter(api):
    answer = api.request("POST", "rap/status/", content=b'{"rap_ids":[]}', headers={"Content-Type": "text/plain"})
    assert (answer.status_code, text(answer)) == (200, '{"jobs":[],"unrecognised_rap_ids":[]}')


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"rap_id": ...}, ": 'rap_id' is a required property"),
        ({"backend": ..., "workspace": ...}, ": 'backend' is a required property"),
        ({"rap_id": "x"}, " at $.rap_id: 'x' does not match '^[a-z0-9]{16}$'"),
        ({"rap_id": "a" * 16 + "\n"}, f" at $.rap_id: '{'a' * 16}\\n' does not match '^[a-z0-9]{{16}}$'"),
        ({"commit": "abc"}, " at $.commit: 'abc' does not match '^[0-9a-f]{40}$'"),
        ({"database_name": "x"}, " at $.database_name: 'x' is not one of ['default']"),
        ({"requested_actions": []}, " at $.requested_actions: [] should be non-empty"),
        ({"requested_actions": [1]}, " at $.requested_actions[0]: 1 is not of type 'string'"),
        ({"codelists_ok": "yes"}, " at $.codelists_ok: 'yes' is not of type 'boolean'"),
        ({"codelists_ok": 1}, " at $.codelists_ok: 1 is not of type 'boolean'"),
        ({"orgs": "org"}, " at $.orgs: 'org' is not of type 'array'"),
        ({"backend": None}, " at $.backend: None is not of type 'string'"),
        (
            {"analysis_scope": {"component_access": ["x"]}},
            " at $.analysis_scope.component_access[0]: 'x' is not one of ['event_level_data']",
        ),
        ({"analysis_scope": []}, " at $.analysis_scope: [] is not of type 'object', 'null'"),
        ({"created_by": "a\0b"}, r" at $.created_by: 'a\x00b' contains characters that are not text"),
        ({"created_by": "\ud800"}, r" at $.created_by: '\ud800' contains characters that are not text"),
    ],
)
def test_then_the_schema(api, change, details):
    answer = api.create(**change)
    assert answer.status_code == 400
    assert answer.json() == {"error": "Validation error", "details": f"Invalid request body received{details}"}


WRONG_IDS = [
    ("", "'' does not match '^[a-z0-9]{16}$'"),
    ("a" * 15, f"'{'a' * 15}' does not match '^[a-z0-9]{{16}}$'"),
    ("a" * 17, f"'{'a' * 17}' does not match '^[a-z0-9]{{16}}$'"),
    ("a" * 16 + "\n", f"'{'a' * 16}\\n' does not match '^[a-z0-9]{{16}}$'"),
    ("A" * 16, f"'{'A' * 16}' does not match '^[a-z0-9]{{16}}$'"),
    ("é" * 16, f"'{'é' * 16}' does not match '^[a-z0-9]{{16}}$'"),
    ("a" * 15 + "-", f"'{'a' * 15}-' does not match '^[a-z0-9]{{16}}$'"),
    ("a" * 15 + "\0", f"'{'a' * 15}\\x00' does not match '^[a-z0-9]{{16}}$'"),
    ("\ud800" * 16, "'" + r"\ud800" * 16 + "' does not match '^[a-z0-9]{16}$'"),
    (None, "None is not of type 'string'"),
    (1234567890123456, "1234567890123456 is not of type 'string'"),
    (True, "True is not of type 'string'"),
    ([], "[] is not of type 'string'"),
    ({}, "{} is not of type 'string'"),
]


@pytest.mark.parametrize(("rap_id", "wrong"), WRONG_IDS)
def test_an_id_of_a_request_is_checked_alike_wherever_it_is_sent(api, rap_id, wrong):
    known = api.body()
    api.post("rap/create/", known)
    for path, body, place in (
        ("rap/create/", api.body(rap_id=rap_id), "rap_id"),
        ("rap/cancel/", {"rap_id": rap_id, "actions": ["plot"]}, "rap_id"),
        ("rap/status/", {"rap_ids": [rap_id]}, "rap_ids[0]"),
        ("rap/status/", {"rap_ids": [known["rap_id"], rap_id, known["rap_id"]]}, "rap_ids[1]"),
    ):
        answer = api.post(path, body)
        details = f"Invalid request body received at $.{place}: {wrong}"
        assert (answer.status_code, answer.json()) == (400, {"error": "Validation error", "details": details}), path
    assert not any(job["status_code"] == "cancelled_by_user" for job in api.status(known["rap_id"])["jobs"])


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({}, ": 'rap_ids' is a required property"),
        ({"rap_id": "a" * 16}, ": 'rap_ids' is a required property"),
        ({"rap_ids": None}, " at $.rap_ids: None is not of type 'array'"),
        ({"rap_ids": "a" * 16}, f" at $.rap_ids: '{'a' * 16}' is not of type 'array'"),
        ({"rap_ids": {"a" * 16: 1}}, f" at $.rap_ids: {{'{'a' * 16}': 1}} is not of type 'array'"),
        ({"rap_ids": [["a" * 16]]}, f" at $.rap_ids[0]: ['{'a' * 16}'] is not of type 'string'"),
    ],
)
def test_ids_are_sent_as_a_list(api, body, details):
    answer = api.post("rap/status/", body)
    wrong = {"error": "Validation error", "details": f"Invalid request body received{details}"}
    assert (answer.status_code, answer.json()) == (400, wrong)


def test_a_cancellation_needs_an_id(api):
    answer = api.cancel(actions=["plot"])
    details = "Invalid request body received: 'rap_id' is a required property"
    assert (answer.status_code, answer.json()) == (400, {"error": "Validation error", "details": details})


def test_an_id_sent_twice_is_answered_once(api):
    """The contract takes any number of ids, and says nothing against one that stands there twice."""
    body = api.body()
    api.post("rap/create/", body)
    once = api.status(body["rap_id"], "z" * 16)
    assert api.status("z" * 16, body["rap_id"], "z" * 16, body["rap_id"]) == once


@pytest.mark.parametrize("body", [[], 1, None, "x"])
def test_a_body_that_is_no_object(api, body):
    answer = api.post("rap/create/", body)
    assert answer.json()["details"].endswith("is not of type 'object'")


def test_a_null_scope_and_unknown_keys_are_accepted(api):
    assert api.create(analysis_scope=None, something="else").status_code == 201
    assert api.create(analysis_scope={"dataset_permissions": ["icnarc"], "new": 1}, workspace="w2").status_code == 201


# -- create


def test_created_then_no_change_then_inconsistent(api):
    body = api.body()
    rap_id = body["rap_id"]
    first = api.post("rap/create/", body)
    assert first.status_code == 201
    assert text(first) == (
        f'{{"result":"Success","details":"Jobs created for rap_id \'{rap_id}\'","rap_id":"{rap_id}","count":3}}'
    )
    again = api.post("rap/create", body | {"created_by": "bob"})
    assert again.status_code == 200
    assert text(again) == (
        f'{{"result":"No change","details":"Jobs already created for rap_id \'{rap_id}\'",'
        f'"rap_id":"{rap_id}","count":3}}'
    )
    for change in ({"workspace": "other"}, {"commit": "b" * 40}, {"repo_url": "/elsewhere"}):
        other = api.post("rap/create/", body | change)
        assert other.status_code == 400
        assert text(other) == (
            '{"error":"Inconsistent request data",'
            f'"details":"Jobs already created for rap_id \'{rap_id}\' are inconsistent with request data"}}'
        )


def test_nothing_to_do_and_its_replay(api):
    assert api.create().status_code == 201
    body = api.body()
    for _ in range(2):
        answer = api.post("rap/create/", body)
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "result": "Nothing to do",
                "details": "All requested actions were already scheduled to run",
                "rap_id": body["rap_id"],
                "count": 0,
            },
        )
    assert (
        api.create(requested_actions=["run_all"]).json()["details"] == "All actions have already completed successfully"
    )


def test_a_refused_request_can_be_sent_again_when_the_fault_is_gone(api):
    body = api.body(branch="later")
    for _ in range(2):
        answer = api.post("rap/create/", body)
        assert answer.status_code == 400
        assert text(answer) == '{"error":"Error creating jobs","details":"Could not find branch \'later\'"}'
    api.study.git("branch", "later")
    assert api.post("rap/create/", body).status_code == 201


# -- cancel


def test_cancel(api):
    body = api.body()
    api.post("rap/create/", body)
    rap_id = body["rap_id"]
    answer = api.cancel(rap_id=rap_id, actions=["plot", "plot"])
    assert answer.status_code == 200
    assert text(answer) == '{"result":"Success","details":"2 actions cancelled","count":2}'
    assert text(api.cancel(rap_id=rap_id, actions=["plot"])).endswith('"count":1}'), "again is fine"
    jobs = {job["action"]: job for job in api.status(rap_id)["jobs"]}
    assert jobs["plot"]["status_code"] == "cancelled_by_user"
    assert jobs["model"]["status_code"] != "cancelled_by_user"


def test_cancel_all_or_nothing(api):
    body = api.body()
    api.post("rap/create/", body)
    answer = api.cancel(rap_id=body["rap_id"], actions=["z", "plot", "b"])
    assert answer.status_code == 404
    assert text(answer) == (
        '{"error":"jobs not found","details":"Jobs matching requested cancelled actions could not be found: b,z",'
        f'"rap_id":"{body["rap_id"]}","not_found":["b","z"]}}'
    )
    assert not any(job["status_code"] == "cancelled_by_user" for job in api.status(body["rap_id"])["jobs"])


@pytest.mark.parametrize("token", ["tpp-client", "test-client"])
def test_cancel_of_an_unknown_request_or_anothers(api, token):
    body = api.body()
    api.post("rap/create/", body)
    rap_id = "unknown000000000" if token == "test-client" else body["rap_id"]
    api.token = token
    answer = api.cancel(rap_id=rap_id, actions=["plot"])
    assert answer.status_code == 404
    assert text(answer) == (
        f'{{"error":"jobs not found","details":"No jobs found for rap_id {rap_id}","rap_id":"{rap_id}"}}'
    )


def test_cancel_needs_an_action(api):
    answer = api.cancel(rap_id="a" * 16, actions=[])
    assert answer.json()["details"] == "Invalid request body received at $.actions: [] should be non-empty"


# -- status


def test_status(api):
    body = api.body()
    api.post("rap/create/", body)
    found = api.status("z" * 16, body["rap_id"], "a" * 16)
    assert found["unrecognised_rap_ids"] == ["z" * 16, "a" * 16]
    extract, model, plot = found["jobs"]
    assert list(extract) == [
        *("identifier", "rap_id", "backend", "action", "run_command", "status", "status_code", "status_message"),
        *("created_at", "updated_at", "started_at", "completed_at", "trace_context", "metrics", "requires_db"),
    ]
    assert (extract["action"], extract["requires_db"], extract["status"]) == ("extract", True, "running")
    assert (model["status"], model["status_code"]) == ("pending", "waiting_on_dependencies")
    assert plot["run_command"] == "python:v2 python analysis/plot.py"
    assert (plot["started_at"], plot["completed_at"], plot["metrics"]) == (None, None, {})
    assert len(plot["created_at"]) == len("2026-11-22T05:06:20Z")
    api.token = "tpp-client"
    assert api.status(body["rap_id"]) == {"jobs": [], "unrecognised_rap_ids": [body["rap_id"]]}


def test_a_timeout_is_told_in_a_word_of_the_contract(api):
    from carrel.controller.models import Job

    body = api.body()
    api.post("rap/create/", body)
    Job.objects.filter(action="extract").update(
        state="failed", status_code="timed_out", status_message="Job stopped after 6 hours"
    )
    job = api.status(body["rap_id"])["jobs"][0]
    assert (job["status"], job["status_code"]) == ("failed", "killed_by_admin")
    assert job["status_message"] == "Job stopped after 6 hours"


# -- backends


def test_backend_status_of_the_tokens_backends(api):
    api.token = "both-client"
    assert text(api.request("GET", "backend/status/")) == (
        '{"backends":['
        '{"slug":"test","last_seen":null,"paused":{"status":"off","since":null},'
        '"db_maintenance":{"status":"off","since":null,"type":null}},'
        '{"slug":"tpp","last_seen":null,"paused":{"status":"off","since":null},'
        '"db_maintenance":{"status":"off","since":null,"type":null}}]}'
    )


def test_backend_status_after_changes(api):
    from carrel.controller.service import administration, flags

    values = {"paused": "true", "mode": "db-maintenance", "manual-db-maintenance": "on"}
    rows = {row.name: row for row in administration.set_flags("test", values, "admin:t")}
    flags.saw_agent("test")
    (backend,) = api.request("GET", "backend/status/").json()["backends"]
    assert backend["last_seen"].endswith("Z")
    assert backend["paused"] == {"status": "on", "since": _iso(rows["paused"])}
    assert backend["db_maintenance"] == {"status": "on", "since": _iso(rows["mode"]), "type": "manual"}
    cleared = administration.set_flags("test", {"mode": None, "paused": None, "manual-db-maintenance": None}, "admin:t")
    (backend,) = api.request("GET", "backend/status/").json()["backends"]
    assert backend["paused"] == {"status": "off", "since": _iso(cleared[1])}, "since when it is off"
    assert backend["db_maintenance"] == {"status": "off", "since": _iso(cleared[0]), "type": None}
    administration.set_flags("test", {"mode": "db-maintenance"}, "agent")
    (backend,) = api.request("GET", "backend/status/").json()["backends"]
    assert backend["db_maintenance"]["type"] == "scheduled"


def _iso(flag) -> str:
    return flag.timestamp.replace(tzinfo=None).isoformat() + "Z"


# -- the document


def test_the_document_is_json_and_needs_no_token(api):
    answer = api.http.get(f"{api.url}/controller/v1/spec.json")
    assert answer.headers["Content-Type"] == "application/json"
    document = json.loads(answer.content)
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/backend/status/", "/rap/create/", "/rap/cancel/", "/rap/status/"}


def test_the_page_loads_nothing_from_elsewhere(api):
    answer = api.http.get(f"{api.url}/controller/v1/docs")
    page = answer.text
    assert answer.status_code == 200
    assert "<script" not in page
    assert "http" not in page.replace("http method", "").split("</style>")[1].split("<h2>")[0]
    assert "analysis_scope.dataset_permissions" in page
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
