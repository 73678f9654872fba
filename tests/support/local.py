"""Small studies on disk, a toolchain that is the system's Python, and the real `carrel` command run on them."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.docker import missing
from tests.support.mistakes import Mistake

CARREL = Path(sys.executable).parent / "carrel"
DEADLINE = 60


def make_toolchain(folder: Path, name: str = "python-v2") -> Path:
    """A toolchains folder whose `python` is the system's; returns the folder."""
    python = Path("/usr/bin/python3")
    if not python.exists():
        missing(str(python))
    (folder / name / "bin").mkdir(parents=True)
    (folder / name / "bin" / "python").symlink_to(python)
    (folder / name / "toolchain.json").write_text("{}")
    return folder


@dataclass
class Study:
    """A study's folder and how to run `carrel` in it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def project(self, text: str) -> "Study":
        (self.folder / "project.yaml").write_text(
            "version: '5'\nactions:\n" + textwrap.indent(textwrap.dedent(text), "  ")
        )
        return self

    def action(self, name: str, code: str, outputs: str, needs: str = "", extra: str = "") -> "Study":
        """Add an action that runs `code`; `outputs` like `highly_sensitive: {a: output/a.csv}`."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(code))
        path = self.folder / "project.yaml"
        before = path.read_text() if path.exists() else "version: '5'\nactions:\n"
        lines = [
            f"  {name}:",
            f"    run: python:v2 python {name}.py",
            f"    needs: [{needs}]",
            f"    outputs: {{{outputs}}}",
        ]
        path.write_text(before + "\n".join([*lines, *([f"    {extra}"] if extra else [])]) + "\n")
        return self

    def mistake(self, mistake: Mistake) -> "Study":
        """The one action `a`, which makes it."""
        mistake.write(self.folder)
        run = json.dumps(f"python:v2 {mistake.run}")
        return self.project(f"a:\n  run: {run}\n  outputs: {{highly_sensitive: {{a: output/a.csv}}}}\n")

    def failed(self, mistake: Mistake) -> None:
        """Run it: it must fail once, as the study's error, with its reason in the message and in the log."""
        done = self.carrel("run", "a", "--timestamps")
        assert done.returncode == 1, done.stdout + done.stderr
        assert mistake.message in done.stdout
        assert "This action could not be run" not in done.stdout
        record, log = self.record("a"), self.read("metadata/a.log")
        assert (record["status_code"], record["exit_code"]) == ("nonzero_exit", mistake.exit_code)
        assert mistake.message in record["status_message"]
        assert mistake.log in log
        assert mistake.log in done.stdout
        assert mistake.message in log
        assert f"exit_code: {mistake.exit_code}\n" in log

    def writes(self, name: str, needs: str = "", level: str = "highly_sensitive", text: str = "n\\n1\\n") -> "Study":
        """Add an action that writes output/<name>.csv."""
        write = f"Path('output/{name}.csv').write_text('{text}')"
        code = f"from pathlib import Path\nPath('output').mkdir(exist_ok=True)\n{write}\n"
        return self.action(name, code, f"{level}: {{out: output/{name}.csv}}", needs)

    def start(self, *args: object, **env: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        run = subprocess.Popen(
            [CARREL, *map(str, args)], cwd=self.folder, env={**self.env, **env}, stdout=pipe, stderr=pipe, text=True
        )
        self.started.append(run)
        return run

    def close(self) -> None:
        """End what a failed test left running."""
        for run in self.started:
            if run.poll() is None:
                run.kill()
                run.communicate()
        if self.leftovers():
            self.carrel("clean")

    def carrel(self, *args: object, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [CARREL, *map(str, args)],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def ok(self, *args: object, **env: str) -> str:
        """Run `carrel` and return what it printed; it must succeed."""
        done = self.carrel(*args, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def record(self, action: str) -> dict:
        return json.loads(self.read(f"metadata/jobs/{action}.json"))

    def leftovers(self) -> list[str]:
        """What a run must not leave behind."""
        places = [self.folder / "metadata" / ".run", self.folder / ".staging"]
        return [str(place) for place in places if place.exists()]


def processes_with(text: str) -> list[int]:
    """Processes of this machine whose command line or working folder holds `text`, but this one."""
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace")
            folder = str((place / "cwd").readlink())
        except OSError:
            continue
        if text in words or text in folder:
            found.append(int(place.name))
    return found
