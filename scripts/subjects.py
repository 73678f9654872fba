"""Subjects of commits are at most 72 characters: what a list of commits shows whole. The reason goes in the body.

`subjects.py` looks at the commits since the one that `.ci/subjects-since` names: the rule is younger than the history.
`subjects.py FILE` looks at one message, as git's hook `commit-msg` gives it.
"""

import subprocess
import sys
from pathlib import Path

LONGEST = 72
SINCE = Path(".ci/subjects-since")


def too_long(subjects: list[str]) -> list[str]:
    """One line for each subject that is too long. What git writes of itself, or will join to another, has no limit."""
    return [
        f"{len(subject)} characters, {LONGEST} at most: {subject}"
        for subject in subjects
        if len(subject) > LONGEST and not subject.startswith(("Merge ", "Revert ", "fixup! ", "squash! "))
    ]


def subjects_of_history() -> list[str]:
    """All since the base; in a shallow clone, which may end after it, all there are; else, without it, the last one.

    Merges are left out: machines write their subjects.
    """
    base = SINCE.read_text().strip()
    if _git("cat-file", "-e", f"{base}^{{commit}}").returncode == 0:
        commits = [f"{base}..HEAD"]
    elif _git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        commits = ["HEAD"]
    else:
        commits = ["--max-count=1", "HEAD"]
    log = _git("log", "--no-merges", "--format=%s", *commits)
    if log.returncode:
        sys.exit(f"subjects.py: {log.stderr.strip()}")
    return log.stdout.splitlines()


def subject_of_message(message: str) -> str:
    """The first line that git would keep."""
    return next((line for line in message.splitlines() if line.strip() and not line.startswith("#")), "")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False)


if __name__ == "__main__":
    files = sys.argv[1:]
    subjects = [subject_of_message(Path(file).read_text()) for file in files] if files else subjects_of_history()
    if complaints := too_long(subjects):
        sys.exit(
            "\n".join(["subjects.py: the subject of a commit is too long (the reason goes in the body):", *complaints])
        )
