"""The state diagram and the table of statuses in the docs, made from the transition table.

`python -m carrel.jobs.diagram --write docs/reference/statuses.md` renews what stands between the markers;
`--check` instead ends with 1 when that is out of date.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from carrel.jobs.statuses import (
    FINAL_CODES,
    PENDING_CODES,
    RESET_CODES,
    RUNNING_CODES,
    STATUSES,
    TRANSITIONS,
    State,
    StatusCode,
    public_code,
)

_GROUPS = (
    ("pending", [code for code in StatusCode if code in PENDING_CODES]),
    ("running", [code for code in StatusCode if code in RUNNING_CODES]),
    ("succeeded_or_failed", [code for code in StatusCode if code in FINAL_CODES]),
)
_COLOURS = {
    "pending": "fill:#fff4d6,color:#111",
    "running": "fill:#dcecff,color:#111",
    "succeeded_or_failed": "fill:#e6e6e6,color:#111",
}
_TITLES = {
    State.PENDING: "Pending: it has not started, or will start again",
    State.RUNNING: "Running",
    State.SUCCEEDED: "Succeeded",
    State.FAILED: "Failed",
}


def mermaid() -> str:
    """The state diagram. An arrow that every code of a group has is drawn once, from a node that stands for them all.

    Flat, because Mermaid draws no arrows between states inside different composite states.
    """
    lines = ["stateDiagram-v2", "    direction LR"]
    lines += [f'    state "any {name} status" as any_{name}' for name, codes in _GROUPS if _shared_targets(codes)]
    lines.append(f"    [*] --> {StatusCode.CREATED}")
    for name, codes in _GROUPS:
        lines += _edges(f"any_{name}", codes)
    lines += [f"    {code} --> [*]" for code in StatusCode if code in FINAL_CODES]
    for name, codes in _GROUPS:
        lines += [f"    classDef {name} {_COLOURS[name]}", f"    class {','.join(codes)} {name}"]
    return "\n".join(lines)


def _edges(group: str, codes: Sequence[StatusCode]) -> list[str]:
    shared = _shared_targets(codes)
    edges = [f"    {group} --> {target}" for target in StatusCode if target in shared]
    for code in codes:
        edges += [f"    {code} --> {target}" for target in StatusCode if target in TRANSITIONS[code] - shared]
    return edges


def _shared_targets(codes: Sequence[StatusCode]) -> frozenset[StatusCode]:
    """Codes that each of these may go to, not counting itself."""
    return frozenset(
        target for target in StatusCode if all(code is target or target in TRANSITIONS[code] for code in codes)
    )


def tables() -> str:
    """One table for each state: code, what it means, what to do next."""
    parts = []
    for state, title in _TITLES.items():
        rows = [status for status in STATUSES.values() if status.state is state]
        parts.append(f"### {title}\n\n| status | message | what it means | what to do |\n|---|---|---|---|")
        for row in rows:
            note = " (gives the attempt up)" if row.code in RESET_CODES else ""
            if public_code(row.code) is not row.code:
                note = f" (RAP API: `{public_code(row.code)}`)"
            parts[-1] += f"\n| `{row.code}`{note} | {row.message} | {row.meaning} | {row.next_step} |"
    return "\n\n".join(parts)


def renewed(page: str) -> str:
    """The page with both generated parts made anew; ValueError when a marker is missing."""
    page = _between(page, "diagram", f"```mermaid\n{mermaid()}\n```")
    return _between(page, "statuses", tables())


def _between(page: str, name: str, content: str) -> str:
    begin, end = f"<!-- begin generated: {name} -->", f"<!-- end generated: {name} -->"
    head, found_begin, rest = page.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"The page has no markers '{begin}' and '{end}'")
    return f"{head}{begin}\n{content}\n{end}{tail}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m carrel.jobs.diagram", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="PAGE")
    what.add_argument("--check", type=Path, metavar="PAGE")
    options = parser.parse_args(arguments)
    path = options.write or options.check
    page = path.read_text(encoding="utf-8")
    if options.write:
        path.write_text(renewed(page), encoding="utf-8")
        return 0
    return 0 if renewed(page) == page else 1


if __name__ == "__main__":
    raise SystemExit(main())
