"""What a site is asked, over its RAP API: jobs as the board shows them."""

from collections.abc import Sequence
from typing import Any

from carrel.clients.rap import RapClient
from carrel.messages.rap import RapCreateRequest, RapCreateResponse
from carrel.site.study_requests import StudyRequest, new_rap_id


class Requests:
    """Creates requests and asks after them. Raises `RapRefused` and `RapUnavailable`, in words for the user."""

    def __init__(self, rap_api: str, token: str):
        self.client = RapClient(rap_api, token)

    def create(self, study: StudyRequest, backend: str) -> RapCreateResponse:
        """Ask one backend to run the study; the answer carries the new request's `rap_id`."""
        return self.client.create(RapCreateRequest.model_validate(study.body(new_rap_id(), backend)))

    def jobs(self, rap_ids: Sequence[str]) -> list[dict[str, Any]]:
        return [job.model_dump(mode="json") for job in self.client.status(list(rap_ids)).jobs]

    def backends(self) -> list[str]:
        """Return the slugs of the backends that the token may use."""
        return [backend.slug for backend in self.client.backends().backends]
