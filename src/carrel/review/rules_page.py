"""The page docs/reference/release-requests.md, how a release request goes: `python -m carrel.review.rules_page`."""

from collections.abc import Iterator

from carrel.review.audit_types import CONTRACT_TYPES, AuditType
from carrel.review.decisions import FileDecision
from carrel.review.machine import STATES, mermaid
from carrel.review.rules import ACTS

INTRO = """# How a release request goes

A release request is files of one workspace that an author asks to release together. What may happen to it is two
tables in the code: the moves (`carrel.review.machine`) and the acts with their rules (`carrel.review.rules`). Rules
carry the numbers of the contract, R1 to R21; "Carrel" marks our own. A test tries every act by every kind of person
in every status.

This page is made by `python -m carrel.review.rules_page`; a test holds it to the code.
"""

TURNS = """\
Each submission and each return begins the next **turn**. While checkers decide independently, nobody sees what
another said; when as many reviews are in as the policy asks for, checkers see each other's votes and comments, and
decide together. Public comments are seen by others when their turn has passed. A request that is returned before
all reviews are in is **returned early**: what checkers said in that turn counts for nothing and is shown to nobody;
the rows and the audit log keep it.

A vote names the bytes that it is on. It counts for a file as long as the file has these bytes, in later turns too:
what was approved need not be voted on again unless it was updated, moved to another group, or withdrawn. A request
for changes becomes undecided when the request is submitted again.
"""

BYTES = """\
A file is copied when it is added, into a folder of the request, under the SHA-256 of its contents, which must be
the one in the workspace's manifest. Later runs never change the copy. It is hashed again whenever it is opened: to
be shown, to be checked, when the request is approved, and before it is uploaded. A file is uploaded only if the
request is approved, as many people as the request needs, other than its author, have submitted a review and
approved exactly these bytes, and the policy still allows its type.
"""

DECISIONS = {
    FileDecision.INCOMPLETE: "fewer votes than are needed, or not all reviews submitted",
    FileDecision.APPROVED: "as many approvals as are needed, whatever a further checker says",
    FileDecision.CHANGES_REQUESTED: "nobody approved it",
    FileDecision.CONFLICTED: "some approved it; the author is told that changes are requested",
}


def page() -> str:
    """Return the whole page as Markdown."""
    sections = {
        "States": [
            "```mermaid",
            mermaid(),
            "```",
            "",
            "| status | in words | whose turn | what is seen |",
            "|---|---|---|---|",
        ]
        + [f"| `{status}` | {state.words} | {state.owner} | {state.phase} |" for status, state in STATES.items()],
        "Turns and votes": [TURNS.rstrip()],
        "Decision on a file": [
            "From the votes of submitted reviews:",
            "",
            "| decision | when |",
            "|---|---|",
            *(f"| `{decision}` | {words} |" for decision, words in DECISIONS.items()),
        ],
        "The bytes that leave": [BYTES.rstrip()],
        "Acts and their rules": ["| who wants to | may when |", "|---|---|", *acts()],
        "Events of the audit log": [
            "Those of the contract:",
            "",
            *(f"* `{kind}`" for kind in CONTRACT_TYPES),
            "",
            "Our own, beside those of signing in:",
            "",
            *(f"* `{kind}`" for kind in AuditType if kind not in CONTRACT_TYPES),
        ],
    }
    return "\n".join([INTRO, *("\n".join([f"## {title}", "", *lines, ""]) for title, lines in sections.items())])


def acts() -> Iterator[str]:
    """Yield a row for each act: its rules in the order in which they are told."""
    for act, rules in ACTS.items():
        yield f"| {act} | {'; '.join(f'{rule.says} ({rule.number})' for rule in rules)} |"


if __name__ == "__main__":
    print(page(), end="")
