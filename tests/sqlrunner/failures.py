"""What every failing query must be like, whatever the database."""

import json
from pathlib import Path

from tests.sqlrunner.conftest import Run


def check_failure(run: Run, folder: Path, url: str, sql: str, code: int, words: str) -> dict[str, object]:
    """It exits with `code` and says `words` in the job's log, with no value, no traceback and no output file.

    Returns the last entry of the log file.
    """
    done = run(sql, "--output", "o.csv", "--dsn", url, "--log-file", "logs/log.jsonl")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "plain" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "o.csv").exists()
    entry = json.loads((folder / "logs/log.jsonl").read_text().splitlines()[-1])
    assert (entry["level"], entry["exit_code"]) == ("error", code)
    return entry
