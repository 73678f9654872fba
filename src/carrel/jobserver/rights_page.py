"""The page docs/reference/job-server-rights.md, what each URL needs: `python -m carrel.jobserver.rights_page`."""

import os
from collections.abc import Iterator

INTRO = """# Who may open what on the job server

Each URL says in one place what it needs (`carrel.jobserver.rights.access`), and one guard stands before all of them.
A right is asked for in the project of the URL, where it names one, and everywhere otherwise. What somebody may not know
of (a project that is not in the register, a backend they are no member of) is not found, whatever they may do
elsewhere. A backend can ask for a second factor of whoever runs there: it then takes runs only from sessions that were
signed in with one, and from personal tokens and schedules that were made in such a session. A test tries every URL with
every role (`tests/jobserver/rights/test_every_url.py`).

This page is made by `python -m carrel.jobserver.rights_page`; a test holds it to the code.
"""

RIGHTS_HEAD = "| right | lets somebody | roles that have it on a new site |\n|---|---|---|"
PAGE_HEAD = "| address | needs |\n|---|---|"
API_HEAD = "| call | who asks |\n|---|---|"

CALLERS = {
    "AnybodyAuth": "everybody; a token narrows or widens the answer",
    "BackendAuth": "a backend, by its token",
    "BackendUserAuth": "a backend, by its token, for a person who is its member (`OS-User`)",
    "SessionAuth": "a person who has signed in",
    "PersonalAuth": "a program, by a personal token",
    "ScopedAuth": "a program, by a personal token whose scope allows it",
}
"""What each kind of authentication of the API is in words; others are told by the first sentence of their own."""


def page() -> str:
    """Return the whole page as Markdown."""
    from carrel.jobserver.account_urls import ALLAUTH_ACCESS
    from carrel.jobserver.project_urls import PROJECT_PAGES
    from carrel.jobserver.urls import PAGES

    own = [f"| `/{entry.path}` | {entry.access.words()} |" for entry in PAGES]
    of_projects = [f"| `/{entry.path}` | {entry.access.words()} |" for entry in PROJECT_PAGES]
    library = [f"| `{name}` | {access.words()} |" for name, access in ALLAUTH_ACCESS.items()]
    sections = {
        "Rights": [RIGHTS_HEAD, *rights()],
        "Pages of the site": [PAGE_HEAD, *own],
        "Pages of one project": [PAGE_HEAD, *of_projects],
        "Sign-in (by django-allauth, below `/accounts/`, by the URL's name)": [PAGE_HEAD, *library],
        "Machine API": [API_HEAD, *calls()],
    }
    return "\n".join([INTRO, *("\n".join([f"## {title}", "", *lines, ""]) for title, lines in sections.items())])


def rights() -> Iterator[str]:
    """Yield a row for each right: what it lets somebody do, and which default roles have it."""
    from carrel.jobserver.rights.permissions import WORDS
    from carrel.jobserver.rights.roles import DEFAULT_ROLES

    for permission, words in WORDS.items():
        roles = [role.title for role in DEFAULT_ROLES if permission in role.permissions]
        yield f"| `{permission}` | {words} | {', '.join(roles) or 'none'} |"


def calls() -> Iterator[str]:
    """Yield a row for each call of the API."""
    from carrel.jobserver.api import first
    from carrel.jobserver.api.app import ROOT
    from carrel.jobserver.api.urls import api

    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                kinds = [type(caller) for caller in operation.auth_callbacks]
                who = [CALLERS.get(kind.__name__) or (kind.__doc__ or "").split(".")[0] for kind in kinds]
                address = f"/{ROOT}{prefix}{path}".replace("//", "/")
                yield f"| {' '.join(operation.methods)} `{address}` | {' or '.join(who) or 'everybody'} |"
    for route, methods in first.CALLS.items():
        for method, (scope, _) in methods.items():
            addresses = f"`/{first.ROOT}{route}`, `/{route}`"
            yield f"| {method} {addresses} | a program, by username and personal token with the scope `{scope}` |"


def main() -> None:
    """Print the page."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.all_apps"
    import django

    django.setup()
    print(page(), end="")


if __name__ == "__main__":
    main()
