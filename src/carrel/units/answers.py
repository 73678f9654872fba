"""HTTP answers of others, read up to a bound: a peer that is wrong, or is not who we think, fills no memory."""

import time
from typing import Any

import httpx

from carrel.units.limits import MAX_ANSWER_BYTES


class AnswerTooLong(httpx.HTTPError):
    """The answer went on beyond the bound; what was read of it is thrown away."""


def ask(
    client: httpx.Client,
    method: str,
    url: str,
    limit: int = MAX_ANSWER_BYTES,
    seconds: float = float("inf"),
    **options: Any,
) -> httpx.Response:
    """Make one request and return its whole answer, unpacked, of at most `limit` bytes, read within `seconds`.

    Raises AnswerTooLong, and what httpx raises (all are httpx.HTTPError): ReadTimeout too for an answer that comes in
    drops, of which none is late.
    """
    deadline = time.monotonic() + seconds
    body = bytearray()
    with client.stream(method, url, **options) as answer:
        for block in answer.iter_bytes():
            body += block
            if len(body) > limit:
                raise AnswerTooLong(f"The answer is longer than {limit} bytes")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout(f"The answer is not whole after {seconds:g} s", request=answer.request)
    packed = {"content-encoding", "content-length", "transfer-encoding"}
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in packed]
    return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)
