"""Who asks: the kinds of authentication (spec: job-server.md section 2), each as what django-ninja calls before a view.

Whoever shows a token in `Authorization` is taken by it alone: cookies are not looked at then, so that no other site can
make a browser use them. Only sessions need CSRF tokens. The contract's clients depend on 403 where HTTP has 401.
"""

import time
import unicodedata
from typing import Any, TypeAlias, cast

from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.http import HttpRequest
from ninja.utils import check_csrf

from carrel.jobserver.api.answers import ApiProblem, ApiRefusal, refuse
from carrel.jobserver.checks import raw_token
from carrel.jobserver.models import Backend, PersonalToken, User, Workspace
from carrel.jobserver.rights.access import CarrelRequest, identify
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.scopes import SCOPE_WORDS, Scope
from carrel.jobserver.service import tokens
from carrel.project.problems import did_you_mean

REQUESTS_A_MINUTE = 300
"""Of one personal token at our own API."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OS_USER = "OS-User"

Scheme: TypeAlias = dict[str, Any]


class ApiRequest(CarrelRequest):
    """A request as endpoints get it. `backend`: whose token it showed; `token`: the personal one."""

    backend: Backend | None
    token: PersonalToken | None


class BackendAuth:
    """B: `Authorization: <backend token>`."""

    openapi_security_schema: Scheme = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "A backend's token, alone.",
    }

    def __call__(self, request: HttpRequest) -> Backend:
        caller = _without_cookies(request)
        backend = tokens.backend_of_token(raw_token(_header(request)))
        if backend is None:
            refuse(403, "Authentication credentials were not provided." if not _header(request) else "Invalid token.")
        caller.backend = backend
        return backend


class BackendUserAuth(BackendAuth):
    """B+U: a backend's token, and the person it speaks for in `OS-User`, who is a member of that backend."""

    openapi_security_schema: Scheme = {
        **BackendAuth.openapi_security_schema,
        "description": "A backend's token, alone; and in the header `OS-User` the username of one of its members.",
    }

    def __call__(self, request: HttpRequest) -> Backend:
        backend = super().__call__(request)
        # WSGI hands headers on as Latin-1; usernames are UTF-8.
        username = request.headers.get(OS_USER, "").strip().encode("latin-1", "replace").decode("utf-8", "replace")
        if not username:
            refuse(403, f"The header {OS_USER} does not say for whom this is done.")
        user = backend.members.filter(username=normal(username), is_active=True).first()
        if user is None:
            refuse(403, f"{OS_USER} names nobody who is a member of this backend.")
        _act_for(request, user)
        return backend


class SessionAuth:
    """S: a session's cookie, with `X-CSRFToken` where something is changed. Tokens are refused."""

    openapi_security_schema: Scheme = {
        "type": "apiKey",
        "in": "cookie",
        "name": "carrel_session",
        "description": "The session of somebody who has signed in, with `X-CSRFToken` where something is changed.",
    }

    def __call__(self, request: HttpRequest) -> User:
        if _header(request):
            refuse(403, "This needs a session: tokens cannot do it.")
        if request.method not in SAFE_METHODS and check_csrf(request) is not None:
            refuse(403, "CSRF Failed: send the cookie's token in the header X-CSRFToken.")
        caller = identify(request)
        if caller.person is None:
            refuse(403, "Authentication credentials were not provided.")
        return caller.person


class PersonAuth(SessionAuth):
    """S or P: a session, `Authorization: <username>:<personal token>`, or `Bearer <personal token>`."""

    openapi_security_schema: Scheme = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "A personal token, as `<username>:<token>` or `Bearer <token>`; or a session.",
    }

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: HttpRequest) -> User:
        return act_for_token(request, _header(request), self.scope) if _header(request) else super().__call__(request)


class CheckerAuth:
    """B+U or S: a review site inside a backend, or somebody's session."""

    openapi_security_schema: Scheme = BackendUserAuth.openapi_security_schema

    def __call__(self, request: HttpRequest) -> Backend | User:
        return BackendUserAuth()(request) if _header(request) else SessionAuth()(request)


class AnybodyAuth:
    """Nothing is needed; whoever shows a token or has a session sees what that lets them see."""

    openapi_security_schema: Scheme = PersonAuth.openapi_security_schema

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: HttpRequest) -> bool:
        header = _header(request)
        if not header:
            identify(request)
        elif (backend := tokens.backend_of_token(raw_token(header))) is not None:
            _without_cookies(request).backend = backend
        else:
            act_for_token(request, _header(request), self.scope)
        return True


class ScopedAuth:
    """Our own API: `Authorization: Bearer <personal token>` with this scope. 401 without a valid one."""

    openapi_security_schema: Scheme = {"type": "http", "scheme": "bearer", "description": "A personal token."}

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.parameters: frozenset[str] = frozenset()
        """Of its endpoint's query (`app.build`); one that is not among them is refused."""

    def __call__(self, request: HttpRequest) -> User:
        user = act_for_token(request, _header(request), self.scope, status=401)
        check_rate(cast(ApiRequest, request).token)
        if unknown := sorted(set(request.GET) - self.parameters):
            problems = [
                ApiProblem(
                    where=f"query.{name}"[:200],
                    what=f"There is no such parameter{did_you_mean(name, self.parameters)}.",
                )
                for name in unknown[:20]
            ]
            raise ApiRefusal(400, "The request is not what this address takes.", problems)
        return user


def check_rate(token: PersonalToken | None) -> None:
    """Count one request of a token; refuse (429) beyond REQUESTS_A_MINUTE. Processes of one machine count together."""
    if token is None:
        return
    key = f"api-requests-{token.pk}-{int(time.time()) // 60}"
    cache.add(key, 0, 120)
    if cache.incr(key) > REQUESTS_A_MINUTE:
        refuse(429, f"More than {REQUESTS_A_MINUTE} requests within a minute. Wait for the next one.")


def permit(
    request: HttpRequest, permission: Permission, workspace: Workspace, backend: Backend | None = None
) -> ApiRequest:
    """Refuse (403) unless the person may do this in the workspace's project, on this backend where there is one."""
    caller = caller_of(request)
    why = caller.rights.why_not(
        permission, project_id=workspace.project_id, backend_id=backend.pk if backend is not None else None
    )
    if why:
        raise ApiRefusal(403, why)
    return caller


def caller_of(request: HttpRequest) -> ApiRequest:
    """Return the request with its person and backend, whether it has them or not."""
    caller = cast(ApiRequest, identify(request))
    caller.backend = getattr(caller, "backend", None)
    caller.token = getattr(caller, "token", None)
    return caller


def normal(username: str) -> str:
    """Usernames are compared in one form."""
    return unicodedata.normalize("NFKC", username)


def act_for_token(request: HttpRequest, header: str, scope: Scope, status: int = 403) -> User:
    """Return the token's person, for whom the request is then; the username before the token, if any, must be theirs.

    Refuses (`status`) what is no valid token, and (403) one without the scope.
    """
    caller = _without_cookies(request)
    token = tokens.person_of_token(raw_token(header))
    username, colon, _ = header.rpartition(":")
    if token is None or (colon and normal(username) != token.user.username):
        raise ApiRefusal(status, "Authentication credentials were not provided." if not header else "Invalid token.")
    if scope not in token.scopes:
        raise ApiRefusal(403, f"This token's scopes do not let a program {SCOPE_WORDS[scope]}: it needs `{scope}`.")
    caller.token = token
    _act_for(request, token.user)
    return token.user


def _without_cookies(request: HttpRequest) -> ApiRequest:
    """Forget who a cookie may say that this is."""
    request.user = AnonymousUser()
    return cast(ApiRequest, request)


def _act_for(request: HttpRequest, user: User) -> None:
    request.user = user
    for name in ("person", "rights"):
        request.__dict__.pop(name, None)
    identify(request)


def _header(request: HttpRequest) -> str:
    return request.headers.get("Authorization", "").strip()
