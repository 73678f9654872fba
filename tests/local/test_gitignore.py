"""After runs, `git add -A` takes the study's own files and no row of anybody; held by git itself."""

import subprocess

import pytest
from tests.support.local import Study
from tests.support.waiting import until


def git(study: Study, *words: str) -> str:
    names = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "core.excludesFile="]
    done = subprocess.run(["git", *names, *words], cwd=study.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def taken(study: Study) -> list[str]:
    """What a hurried researcher commits."""
    git(study, "init", "--quiet")
    git(study, "add", "-A")
    return git(study, "ls-files").splitlines()


def committed(study: Study, *paths: str) -> Study:
    """The study as it was cloned."""
    for path in paths:
        (study.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (study.folder / path).write_text("")
    git(study, "init", "--quiet")
    git(study, "add", "-A")
    git(study, "commit", "--quiet", "-m", "The study")
    return study


CODE = ["a.py", "project.yaml"]


def test_a_new_study(study: Study):
    study.writes("a").ok("run", "a")
    assert study.read("output/a.csv") == "n\n1\n"
    assert taken(study) == CODE


def test_a_folder_with_committed_files_goes_on_taking_new_ones(study: Study):
    committed(study.writes("a"), "output/.gitkeep", "output/codes.csv").ok("run", "a")
    (study.folder / "output/more.csv").write_text("new, and the study's own")
    assert taken(study) == ["a.py", "output/.gitkeep", "output/codes.csv", "output/more.csv", "project.yaml"]


def test_outputs_beside_code(study: Study):
    code = "open('analysis/a !1.csv', 'w').write('n\\n1\\n'); open('top.csv', 'w').write('n\\n1\\n')"
    study.action("a", code, "highly_sensitive: {one: 'analysis/a !1.csv', two: top.csv}")
    committed(study, "analysis/code.py").ok("run", "a")
    (study.folder / "analysis/later.py").write_text("")
    assert taken(study) == ["a.py", "analysis/code.py", "analysis/later.py", "project.yaml"]


def test_a_gitignore_of_the_study_is_left_alone_and_what_it_lets_through_is_told(study: Study):
    committed(study.writes("a"), "output/.gitkeep")
    (study.folder / "output/.gitignore").write_text("*.log\n")
    assert "`git add` would take output/a.csv" in study.ok("run", "a")
    assert study.read("output/.gitignore") == "*.log\n"
    (study.folder / "output/.gitignore").write_text("*.csv\n")
    assert "`git add` would take" not in study.ok("run", "a", "-f")


@pytest.mark.parametrize("pattern", ["output/*.csv", "output/b.csv"])
def test_what_ignores_is_neither_code_nor_output(study: Study, pattern: str):
    code = "import os; print(*sorted(os.listdir('.'))); os.makedirs('output', exist_ok=True)\n"
    code += "open('output/b.csv', 'w').write('n\\n1\\n'); open('output/.gitignore', 'w').write('mine')"
    study.action("b", code, f"highly_sensitive: {{out: '{pattern}'}}")
    study.writes("c", needs="b", level="moderately_sensitive", text="n\\n10\\n")
    study.ok("run", "c")
    assert list(study.record("b")["outputs"]) == ["output/b.csv"]
    assert "Written by Carrel" in study.read("output/.gitignore")
    assert "code changed" not in study.ok("status")
    assert "gitignore" not in study.ok("check-outputs")
    study.ok("run", "b", "c", "-f")
    assert list(study.record("b")["outputs"]) == ["output/b.csv"]
    assert "Written by Carrel" in study.read("output/.gitignore")
    assert taken(study) == ["b.py", "c.py", "project.yaml"]


def test_while_an_action_runs(study: Study):
    """Its working folder has the inputs, rows and all."""
    code = "import os, time\nopen('output/b.csv', 'w').write('n')\nopen('ready', 'w')\ntime.sleep(600)"
    study.writes("a").action("b", code, "highly_sensitive: {out: output/b.csv}", needs="a")
    study.ok("run", "a")
    run = study.start("run", "b")
    until(lambda: list(study.folder.glob("metadata/.run/*/workspace/ready")) or run.poll() is not None, "b runs")
    assert run.poll() is None
    assert taken(study) == ["a.py", "b.py", "project.yaml"]
    run.terminate()
    run.communicate()


def test_metadata_of_an_earlier_carrel(study: Study):
    (study.folder / "metadata").mkdir()
    (study.folder / "metadata/a.log").write_text("rows")
    study.writes("a").ok("run", "a")
    assert taken(study) == CODE
