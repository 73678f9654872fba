"""The Lambda's side of SQS: send away what can never be ingested, and have the rest delivered again soon."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from carrel.ingest.aws.work import Delivery
from carrel.ingest.sources.aws import Aws

logger = logging.getLogger(__name__)

FIRST_WAIT = 30
LONGEST_WAIT = 900


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

    def _send(self, url: str, body: str, attributes: Mapping[str, str]) -> None:
        described = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
        self.aws.call(
            "sqs",
            "sending to the invalid queue",
            lambda sqs: sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=described),
        )

    def again(self, delivery: Delivery) -> None:
        """Have it delivered again after a while that doubles, instead of after the whole visibility timeout."""
        if self.url is None:
            return
        seconds = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(delivery.receives - 1, 10))
        try:
            self.aws.client("sqs").change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=delivery.receipt, VisibilityTimeout=seconds
            )
        except Exception:
            # It comes again by itself, only later.
            logger.info("message %s waits for its visibility timeout", delivery.message_id, exc_info=True)
