"""What every endpoint answers when it does not do what was asked: a sentence, and what is wrong where."""

from typing import NoReturn

from ninja.errors import HttpError
from pydantic import BaseModel, Field


class ApiProblem(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Where: `body.files.3.name`, `query.limit`, `north`")
    what: str = Field(description="What, and what to do about it")


class ApiError(BaseModel):
    """The body of every answer from 400 on."""

    detail: str = Field(description="What happened, in a sentence", examples=["There is no such workspace."])
    errors: list[ApiProblem] = Field(default=[], description="What is wrong where; often empty")


class ApiRefusal(HttpError):
    """An answer from 400 on, with its body."""

    def __init__(self, status: int, detail: str, errors: list[ApiProblem] | None = None) -> None:
        super().__init__(status, detail)
        self.body = ApiError(detail=detail, errors=errors or [])


def refuse(status: int, detail: str) -> NoReturn:
    """Raise a ApiRefusal."""
    raise ApiRefusal(status, detail)


MEANINGS = {
    400: "The request is not what is described here",
    401: "There is no token, or it is not valid",
    403: "There is no valid token or session, or it does not permit this",
    404: "There is no such thing, or you may not see it",
    405: "There is no such method here",
    409: "It contradicts what is there already",
    413: "The body is too long",
    304: "It is as it was: the etag is the same",
    429: "Too many requests; ask again after `Retry-After` seconds",
    503: "The study's repository cannot be read just now; ask again after `Retry-After` seconds",
}


def errors(*statuses: int) -> dict[int, type[ApiError]]:
    """Return the answers of an endpoint from 400 on, for `response=`; 400 is one of every endpoint."""
    return dict.fromkeys(sorted({400, *statuses}), ApiError)
