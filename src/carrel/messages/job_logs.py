"""The end of a job's log, as agents write it and others read it (agent.md 4.6)."""

from collections.abc import Mapping

JOB_SUMMARY = "=============JOB SUMMARY============="


def summary_of(log: str) -> Mapping[str, str]:
    """Return the `key: value` lines after a log's last marker; {} where there is none.

    Of a key that stands twice the first counts: later ones may be lines of a message.
    """
    _, marker, summary = log.rpartition(f"\n{JOB_SUMMARY}\n")
    fields: dict[str, str] = {}
    for line in summary.split("\n\n", 1)[0].splitlines() if marker else ():
        key, colon, value = line.partition(": ")
        if colon and key.isidentifier():
            fields.setdefault(key, value.strip())
    return fields
