"""The Lambda's side of SQS: send away what can never be ingested, and have the rest delivered again soon."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from carrel.ingest.aws.work import SINCE, TRIED, WAITS, Delivery
from carrel.ingest.aws_access import Aws

logger = logging.getLogger(__name__)

FIRST_WAIT = 30
LONGEST_WAIT = 900
LONGEST_IN_ALL = 3 * 86400
"""Seconds after which a message that waits is no longer put back: who holds a warehouse that long is stuck."""
MOST_TRIED = 5
"""Deliveries that ended badly, after which it is not either: what breaks each run must get to the dead letters."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, and the one for messages that are invalid. `invalid_after`: deliveries before a message goes there."""

    aws: Aws
    url: str | None
    invalid_url: str | None
    invalid_after: int = 3

    def refuse(self, delivery: Delivery, reason: str) -> bool:
        """Move the message to the invalid queue, if it came often enough; False: it stays where it is.

        Sent first and acknowledged after: stopped between the two, it is in the invalid queue twice and lost never.
        """
        logger.warning("message %s is invalid (delivery %d): %s", delivery.message_id, delivery.receives, reason)
        if self.invalid_url is None or delivery.receives < self.invalid_after:
            return False
        attributes = {"reason": reason, "message_id": delivery.message_id, "receives": str(delivery.receives)}
        try:
            self._send(self.invalid_url, delivery.body, attributes)
        except Exception:
            logger.exception("message %s stays, because the invalid queue did not take it", delivery.message_id)
            return False
        return True

    def put_back(self, delivery: Delivery) -> bool:
        """Send the message anew, to come after a while that doubles; False: it stays, and this delivery counts.

        For what nobody tried yet: being delivered while another commits must never bring it to the dead letters.
        Sent first and acknowledged after, as in `refuse`.
        """
        tried = delivery.receives - 1
        if self.url is None or tried > MOST_TRIED or time.time() - delivery.since > LONGEST_IN_ALL:
            return False
        attributes = {WAITS: str(delivery.waits + 1), SINCE: str(delivery.since), TRIED: str(tried)}
        try:
            self._send(self.url, delivery.body, attributes, _wait(delivery.waits))
        except Exception:
            logger.exception("message %s stays, because the queue did not take it anew", delivery.message_id)
            return False
        return True

    def _send(self, url: str, body: str, attributes: Mapping[str, str], delay: int = 0) -> None:
        described = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
        self.aws.call(
            "sqs",
            "sending a message",
            lambda sqs: sqs.send_message(
                QueueUrl=url, MessageBody=body, MessageAttributes=described, DelaySeconds=delay
            ),
        )

    def retry_later(self, delivery: Delivery) -> None:
        """Have it delivered again after a while that doubles, instead of after the whole visibility timeout."""
        if self.url is None:
            return
        seconds = _wait(delivery.receives - 1)
        try:
            self.aws.client("sqs").change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=delivery.receipt, VisibilityTimeout=seconds
            )
        except Exception:
            # It comes again by itself, only later.
            logger.info("message %s waits for its visibility timeout", delivery.message_id, exc_info=True)


def _wait(times: int) -> int:
    """Seconds to wait after so many times."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(times, 10))
