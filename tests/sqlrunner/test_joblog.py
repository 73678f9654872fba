"""What sqlrunner says: the database's password in none of it, whatever it is, and each line of the file JSON."""

import json
from pathlib import Path

import pytest

from carrel.sqlrunner.errors import DatabaseFault
from carrel.sqlrunner.joblog import JobLog

MASK = "xxxx-REDACTED-xxxx"


@pytest.mark.parametrize("password", ["abc", "x", "token", "s3cr3t", "a'b", "p%22w"])
def test_a_password_of_any_kind_is_hidden(tmp_path: Path, capsys: pytest.CaptureFixture[str], password: str):
    log = JobLog(tmp_path / "log", f"postgresql://usr:{password}@db.host:5432/name")
    plain = password.replace("%22", '"')
    log.fail(DatabaseFault("REFUSED.", f"FATAL: PW '{plain}'"))
    log.say(f"SAID '{plain}'", rows=3)
    failure, said = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert failure["detail"] == f"FATAL: PW '{MASK}'"
    assert (said["message"], said["rows"]) == (f"SAID '{MASK}'", 3)
    assert capsys.readouterr().out == f"SAID '{MASK}'\n"


def test_other_words_stay_as_they_are(tmp_path: Path):
    log = JobLog(tmp_path / "log", "postgresql://usr:longpw@h/n")
    log.say('The column authorization="abc" of https://a:b@c')
    assert json.loads((tmp_path / "log").read_text())["message"] == 'The column authorization="abc" of https://a:b@c'
