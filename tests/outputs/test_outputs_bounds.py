"""What jobs leave, against a real agent: too much, too large, unreadable, odd. That job's fault; the next one runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.agents import Site, eventually
from tests.support.users import as_ordinary_user

from carrel.outputs import walk as walking
from carrel.outputs.matching import too_much
from carrel.outputs.walk import FileEntry, Listing, walk_job
from carrel.units import limits

HIGH, MEDIUM = "highly_sensitive", "moderately_sensitive"


def _run(site: Site, text: str, spec: dict[str, str], job_id: str = "job1", **changes: object) -> dict:
    if site.process is None:
        site.start()
    site.server.add(site.script(text, output_spec=spec, job_id=job_id, **changes))
    return site.server.final(f"{job_id}-001", 60)


def _log(site: Site, job_id: str = "job1") -> str:
    return next(site.high.glob(f"logs/*/os-job-{job_id}/logs.txt")).read_text()


def _level4(site: Site) -> list[str]:
    base = site.medium / "workspaces/wspace"
    return sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file() and "output" in path.parts)


def _manifest(site: Site) -> dict:
    return json.loads((site.medium / "workspaces/wspace/metadata/manifest.json").read_text())["outputs"]


def test_names_that_no_store_can_hold_are_refused_and_told(site: Site) -> None:
    long, whole = "x" * 252, "y" * 247
    text = f"mkdir output; echo n > output/{long}; echo n > output/{whole}.csv"
    report = _run(site, text, {"output/x*": MEDIUM, "output/y*": MEDIUM})
    assert report["results"]["has_unmatched_patterns"] is True
    assert "its name is longer than 251 bytes" in _log(site)
    report = _run(site, text, {"output/y*": MEDIUM}, "job2")
    assert report["results"]["status_message"].startswith("Completed successfully")
    assert _level4(site) == [f"output/{whole}.csv"]


def test_the_message_of_a_file_and_a_folder_of_its_name(site: Site) -> None:
    spec = {"output/*.csv": MEDIUM, "output/t.csv.txt/*.csv": MEDIUM}
    bad = "mkdir -p output; printf 'patient_id\\n1\\n' > output/t.csv"
    _run(site, bad, {"output/t.csv": MEDIUM}, "job1")
    assert _level4(site) == ["output/t.csv.txt"]
    report = _run(site, f"{bad}; mkdir output/t.csv.txt; echo n > output/t.csv.txt/n.csv", spec, "job2")
    assert report["stage"] == "finalized"
    assert report["results"]["has_level4_excluded_files"] is True
    assert _level4(site) == ["output/t.csv.txt/n.csv"]
    good = "mkdir -p output/t.csv.txt; echo n > output/t.csv; echo n > output/t.csv.txt/n.csv"
    report = _run(site, good, spec, "job3")
    assert report["results"]["status_message"] == "Completed successfully"
    assert _level4(site) == ["output/t.csv", "output/t.csv.txt/n.csv"]


def test_an_output_with_the_name_of_anothers_message(site: Site) -> None:
    text = "mkdir output; printf 'patient_id\\n1\\n' > output/t.csv; echo n > output/t.csv.txt"
    _run(site, text, {"output/t.csv": MEDIUM, "output/t.csv.txt": HIGH})
    assert _level4(site) == []
    assert _manifest(site)["output/t.csv"]["excluded"] is True


def test_an_input_never_gets_a_lower_level(site: Site) -> None:
    _run(site, "mkdir output; echo pid > output/people.csv", {"output/people.csv": HIGH}, action="extract")
    text = "touch output/people.csv; echo n > output/summary.csv"
    _run(site, text, {"output/*.csv": MEDIUM}, "job2", action="summary", input_job_ids=["job1"])
    assert _level4(site) == ["output/summary.csv"]
    assert {path: (entry["level"], entry["action"]) for path, entry in _manifest(site).items()} == {
        "output/people.csv": (HIGH, "extract"),
        "output/summary.csv": (MEDIUM, "summary"),
    }
    assert "did not change" in _log(site, "job2")


def test_a_committed_file_is_no_output_of_a_job_that_left_it(site: Site) -> None:
    report = _run(site, "true", {"code/*": MEDIUM})
    assert report["results"]["has_unmatched_patterns"] is True
    assert not (site.high / "workspaces/wspace/code").exists()


def test_how_many_rows_an_extract_has_is_not_told_at_level_4(site: Site) -> None:
    text = "mkdir output; printf 'n\\n1\\n2\\n' | tee output/high.csv > output/medium.csv"
    _run(site, text, {"output/high.csv": HIGH, "output/medium.csv": MEDIUM})
    counts = {path: (entry["row_count"], entry["col_count"]) for path, entry in _manifest(site).items()}
    assert counts == {"output/high.csv": (None, None), "output/medium.csv": (2, 1)}


def test_too_many_outputs_are_the_jobs_fault(site: Site) -> None:
    text = "mkdir output; cd output; seq 10001 | sed 's/$/.csv/' | xargs touch"
    report = _run(site, text, {"output/*.csv": MEDIUM})
    assert report["results"]["error"]["type"] == "user_error"
    assert "at most 10000 can be stored" in _log(site)
    report = _run(site, f"{text}; exit 3", {"output/*.csv": MEDIUM}, "job2")
    assert report["results"]["exit_code"] == "3"
    assert "Nothing of what it made is kept" in _log(site, "job2")
    assert _level4(site) == []
    assert _run(site, "mkdir output; echo n > output/a.csv", {"output/*.csv": MEDIUM}, "job3")["stage"] == "finalized"


def test_outputs_that_are_too_large_are_not_read(site: Site) -> None:
    report = _run(site, "mkdir output; truncate -s 1T output/x.bin", {"output/x.bin": HIGH})
    assert report["results"]["error"]["type"] == "user_error"
    assert "at most 256 GiB can be stored" in _log(site)


def test_a_cancel_ends_the_reading_of_outputs(site: Site) -> None:
    """200 GiB of holes take minutes to be hashed."""
    site.start()
    site.server.add(site.script("mkdir output; truncate -s 200G output/x.bin", output_spec={"output/x.bin": HIGH}))
    site.server.wait_for(lambda: "finalizing" in site.server.stages("job1-001"), 60)
    report = site.server.final(site.server.cancel("job1-001"), 60)
    assert report["complete"]
    assert not (site.high / "workspaces/wspace/output").exists()
    eventually(lambda: not list((site.high / ".staging").glob("*")), what="a stage is still there")


def test_two_links_of_a_file_of_holes_take_no_room(site: Site) -> None:
    text = "mkdir output; truncate -s 300M output/x.bin; ln output/x.bin output/y.bin"
    _run(site, text, {"output/*.bin": HIGH})
    stored = [site.high / "workspaces/wspace/output" / name for name in ("x.bin", "y.bin")]
    assert [path.stat().st_size for path in stored] == [300 * 1024**2] * 2
    assert sum(path.stat().st_blocks * 512 for path in stored) < 1024**2


def test_git_and_carrels_own_folders_hold_no_outputs(site: Site) -> None:
    text = "for d in .git .staging .carrel sub/.git; do mkdir -p $d; echo n > $d/t.csv; done; echo n > t.csv"
    report = _run(site, text, {"*/t.csv": HIGH, "sub/.git/t.csv": HIGH, "t.csv": HIGH})
    assert report["results"]["has_unmatched_patterns"] is True
    assert not (site.high / "workspaces/wspace/.git").exists()


def test_what_a_job_made_unreadable_is_ours_to_read(tmp_path: Path) -> None:
    """As the user who ran it; root reads anything."""
    root = tmp_path / "job"
    for folder, mode in (("closed", 0o000), ("names", 0o400), ("enter", 0o100)):
        (root / folder).mkdir(parents=True)
        (root / folder / "t.csv").write_text("n\n")
        (root / folder / "t.csv").chmod(0)
        (root / folder).chmod(mode)
    code = "import sys; from pathlib import Path; from carrel.outputs.walk import walk_job\n"
    code += "from carrel.units.beneath import open_beneath\n"
    code += "root = Path(sys.argv[1]); files = walk_job(root, lambda path: False).files\n"
    code += "print([open_beneath(root, f.path) > 2 and f.path for f in files])"
    command = [*as_ordinary_user(), sys.executable, "-c", code, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "['closed/t.csv', 'enter/t.csv', 'names/t.csv']\n", done.stderr


def test_an_endless_folder_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_JOB_ENTRIES", 50)
    for number in range(60):
        (tmp_path / f"d{number}").mkdir()
    listing = walk_job(tmp_path, lambda path: False)
    assert listing.cut
    assert "left more than" in too_much(listing, ())


def test_many_refusals_are_counted(tmp_path: Path) -> None:
    for number in range(limits.MAX_LISTED + 7):
        (tmp_path / f"l{number}").symlink_to("x")
    refused = walk_job(tmp_path, lambda path: False).refused
    assert len(refused) == limits.MAX_LISTED + 1
    assert refused[-1].reason == "and 7 more"


def test_room_that_is_only_reserved_counts() -> None:
    entry = FileEntry("a", 0, 0, allocated=limits.MAX_OUTPUT_BYTES + 1)
    assert "GiB" in too_much(Listing((entry,)), {"a"})
    assert too_much(Listing((entry,)), set()) == ""
