"""Ordinary mistakes of a study, tried with every executor, locally and by an agent: each is the study's own."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mistake:
    """`run`: what stands behind the image. `message` and `log`: words that must be said there."""

    run: str
    exit_code: int
    message: str
    log: str
    file: str = ""
    text: str = ""
    mode: int = 0o755

    def write(self, folder: Path) -> None:
        if self.file:
            place = folder / self.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(self.text)
            place.chmod(self.mode)


COULD_NOT = "a program could not be run"
NOT_FOUND = "a program was not found"
MISTAKES = {
    "not executable": Mistake(
        "./analysis/noexec.sh",
        126,
        COULD_NOT,
        "./analysis/noexec.sh is not executable: write `sh analysis/noexec.sh` in `run`",
        "analysis/noexec.sh",
        "#!/bin/sh\necho hi\n",
        0o644,
    ),
    "interpreter forgotten": Mistake(
        "analysis/make.py", 126, COULD_NOT, "write `python analysis/make.py`", "analysis/make.py", "print(1)\n", 0o644
    ),
    "saved on Windows": Mistake(
        "./crlf.sh", 127, NOT_FOUND, "./crlf.sh was saved with Windows line ends", "crlf.sh", "#!/bin/sh\r\necho hi\r\n"
    ),
    "saved on Windows, and run by sh": Mistake(
        "sh a.sh", 127, NOT_FOUND, "a.sh was saved with Windows line ends", "a.sh", "no-such\r\n", 0o644
    ),
    "wrong interpreter": Mistake(
        "./a.py", 127, NOT_FOUND, "asks in its first line for '/usr/bin/pyhton'", "a.py", "#!/usr/bin/pyhton\n"
    ),
    "first line forgotten": Mistake(
        "./a.py", 2, "", "so that a shell ran it: write `python a.py`", "a.py", "import os\nprint(os.getpid())\n"
    ),
    "byte order mark": Mistake(
        "./a.py",
        2,
        "",
        "./a.py begins with a byte order mark",
        "a.py",
        "\ufeff#!/usr/bin/env python3\nprint((1,\n2))\n",
    ),
    "missing program": Mistake("pyhton x.py", 127, NOT_FOUND, "pyhton"),
    "missing script": Mistake("./no-such.sh", 127, NOT_FOUND, "./no-such.sh"),
    "a folder": Mistake("./analysis", 126, COULD_NOT, "./analysis is no file that can be run", "analysis/x.txt"),
    "killed by a signal": Mistake(
        "sh -c 'echo last words; kill -SEGV $$'",
        139,
        "killed by signal 11 (segmentation fault). A compiled library failed",
        "last words",
    ),
}
