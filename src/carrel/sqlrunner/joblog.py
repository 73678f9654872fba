"""What sqlrunner says: sentences in the job's log, and the full story as JSON lines in the file of `--log-file`."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from carrel.sqlrunner.errors import SqlrunnerError
from carrel.telemetry.redaction import Redactor, secrets_of_url


class JobLog:
    """`secret`: a database URL, which (and whose password) is taken out of whatever is written."""

    def __init__(self, path: Path | None = None, secret: str = "") -> None:
        self.path = path
        # One secret and one job: a password of any length is hidden, and other words of the study's stay as they are.
        secrets = secrets_of_url(secret) if "://" in secret else ()
        self._redacted = Redactor(secrets, mask="xxxx-REDACTED-xxxx", shortest=1, by_looks=False)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)

    def say(self, message: str, **facts: object) -> None:
        """Write a sentence into the job's log; the facts beside it only in the file."""
        print(self._redacted(message), flush=True)
        self._append({"level": "info", "message": message, **facts})

    def fail(self, error: SqlrunnerError) -> int:
        """Write the error's sentence into the job's log, what the database said into the file; return the exit code."""
        print(self._redacted(f"sqlrunner: {error}"), file=sys.stderr, flush=True)
        facts = {"kind": type(error).__name__, "exit_code": error.exit_code, "detail": error.detail}
        self._append({"level": "error", "message": str(error), **facts})
        return error.exit_code

    def _append(self, entry: dict[str, object]) -> None:
        if self.path:
            texts = {key: self._redacted(value) if isinstance(value, str) else value for key, value in entry.items()}
            line = {"time": datetime.now(UTC).isoformat(), **texts}
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(
                    json.dumps(line, default=lambda value: self._redacted(str(value)), ensure_ascii=False) + "\n"
                )
