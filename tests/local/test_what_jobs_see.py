"""`carrel run` on studies with links, old outputs and odd folders: what the job sees, and what is told of the rest."""

import os

LIST = """
import json, os
seen = sorted(os.path.join(folder, name)[2:] for folder, _, names in os.walk('.') for name in names)
os.makedirs('output', exist_ok=True)
json.dump(seen, open('output/seen.json', 'w'))
"""
OUTPUTS = "highly_sensitive: {seen: output/seen.json}"


def test_links_to_folders_inside_lead_where_they_lead_on_a_server(study):
    (study.folder / "lib").mkdir()
    (study.folder / "lib/m.py").write_text("x = 1\n")
    (study.folder / "analysis").mkdir()
    (study.folder / "analysis/lib").symlink_to("../lib")
    study.action("a", "import sys; sys.path.insert(0, 'analysis')\nfrom lib.m import x\n" + LIST, OUTPUTS)
    assert "Not copied" not in study.ok("run", "a")
    assert "lib/m.py" in study.read("output/seen.json")


def test_what_is_not_copied_is_told_with_its_reason(study, tmp_path):
    (tmp_path / "data").mkdir()
    (study.folder / "data").symlink_to(tmp_path / "data")
    os.mkfifo(study.folder / "pipe")
    study.action("a", LIST, OUTPUTS)
    said = study.ok("run", "a")
    assert "a: Not copied: data  - it is a symbolic link that leads outside of the study" in said
    assert "pipe  - it is no file, folder or symbolic link" in study.read("metadata/a.log")


def test_an_output_that_no_action_makes_any_more_is_not_code(study):
    study.action(
        "a", LIST + "open('output/t.csv', 'w').write('n')", "highly_sensitive: {t: output/t.csv, s: output/seen.json}"
    )
    study.ok("run", "a")
    project = study.read("project.yaml").replace("t: output/t.csv, ", "")
    (study.folder / "project.yaml").write_text(project)
    (study.folder / "a.py").write_text(LIST)
    said = study.ok("run", "a")
    assert "a: Not copied: output/t.csv  - it is an output of an earlier run, which no action makes now" in said
    assert study.read("output/seen.json") == '["a.py", "project.yaml"]'
    assert (study.folder / "output/t.csv").exists()
    (study.folder / "output/t.csv").write_text("changed")
    assert "yes" in study.ok("status")


def test_status_sees_where_a_link_leads_and_what_is_a_program(study):
    for name in ("v1", "v2"):
        (study.folder / f"{name}.py").write_text(f"x = '{name}'\n")
    (study.folder / "cur.py").symlink_to("v1.py")
    study.action("a", LIST, OUTPUTS)
    study.ok("run", "a")
    assert "code changed" not in study.ok("status")
    (study.folder / "cur.py").unlink()
    (study.folder / "cur.py").symlink_to("v2.py")
    assert "code changed" in study.ok("status")
    study.ok("run", "a")
    assert "code changed" not in study.ok("status")
    (study.folder / "v1.py").chmod(0o755)
    assert "code changed" in study.ok("status")


def test_folders_of_carrels_and_gits_own_are_no_outputs(study):
    study.action("a", LIST, "highly_sensitive: {t: .staging/t.csv}")
    for command in (["check"], ["run", "a"]):
        done = study.carrel(*command)
        assert done.returncode == 1
        assert "it is in a folder of Carrel's or git's own" in done.stdout + done.stderr
    assert not (study.folder / ".staging").exists()


def test_a_wide_pattern_takes_nothing_out_of_gits_folder(study):
    code = "import os\nos.makedirs('.git/refs')\nos.makedirs('x')\n"
    code += "open('.git/t.csv', 'w').write('n')\nopen('x/t.csv', 'w').write('n')\n"
    study.action("a", code, "highly_sensitive: {t: '*/t.csv'}")
    study.ok("run", "a")
    assert (study.folder / "x/t.csv").exists()
    assert not (study.folder / ".git").exists()


def test_a_project_file_that_is_a_link_is_refused_as_by_a_server(study):
    study.action("a", LIST, OUTPUTS)
    (study.folder / "cfg").mkdir()
    (study.folder / "project.yaml").rename(study.folder / "cfg/project.yaml")
    (study.folder / "project.yaml").symlink_to("cfg/project.yaml")
    for command in (["check"], ["run", "a"], ["status"]):
        done = study.carrel(*command)
        assert done.returncode == 1
        assert "project.yaml is a symbolic link: put the file itself there" in done.stdout + done.stderr
