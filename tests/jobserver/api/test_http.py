"""What holds for every address of the API: slashes, methods, bodies and addresses that nobody should send."""

import pytest
from tests.jobserver.api.conftest import Api


@pytest.mark.parametrize(
    "path", ["job-requests", "users/ann", "workspaces/survival/statuses", "workspaces/survival/status/"]
)
def test_the_other_form_of_an_address_answers_too_without_a_redirect(api: Api, path: str) -> None:
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    assert (answer := api.as_backend("GET", path)).status_code == api.as_backend("GET", other).status_code
    assert answer.status_code in (200, 404)
    assert answer.headers["Content-Type"].startswith("application/json")


def test_an_unknown_address_is_json_too(api: Api) -> None:
    for path in ("nothing/here", "nothing/here/", "x"):
        answer = api.ask("POST", path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is nothing at this address.")


def test_methods(api: Api) -> None:
    head = api.ask("HEAD", "job-requests/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(api.ask("GET", "job-requests/").content))
    options = api.ask("OPTIONS", "job-requests/")
    assert (options.status_code, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    refused = api.ask("DELETE", "job-requests/")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert refused.json()["detail"] == "There is no DELETE here."


@pytest.mark.parametrize(
    "path",
    ["users/a%00b/", "workspaces/%00/statuses/", "workspaces/survival/statuses/?backend=%00", "job-requests/?%00=1"],
)
def test_what_is_no_text_is_refused_before_any_database_sees_it(api: Api, path: str) -> None:
    answer = api.as_backend("GET", path)
    assert (answer.status_code, answer.json()["detail"]) == (400, "The address holds characters that are not text.")


def test_what_is_wrong_is_told_with_its_place(api: Api) -> None:
    answer = api.as_backend("GET", "job-requests/?limit=many&offset=-1")
    assert answer.status_code == 400
    assert [problem["where"] for problem in answer.json()["errors"]] == ["query.limit", "query.offset"]
    assert api.as_backend("GET", "job-requests/?limit=99999999999999999999999999").status_code == 400
