"""What will happen, in words and numbers."""

from datetime import date

from tests.jobserver.runs.test_matrix import BACKENDS, COLUMNS, START, column, state

from carrel.jobserver.runs.preview import Preview, Wish, dependents_of, plans_of, preview

TODAY = date(2026, 5, 20)


def shown(wishes: dict[str, Wish], *states, columns=COLUMNS, **options) -> Preview:
    latest = {slug: {} for slug in BACKENDS}
    for row in states:
        latest[row.backend][row.action] = row.as_latest()
    return preview(columns, plans_of(columns, wishes, latest), today=TODAY, **options)


def words(part) -> dict[str, str]:
    return {entry.action: entry.words for entry in part.entries}


def test_nothing_ticked():
    nothing = shown({})
    assert [part.standing for part in nothing.backends] == ["nothing ticked"] * 3
    assert (nothing.job_count, nothing.backend_count, nothing.seconds) == (0, 0, None)


def test_each_backend_by_itself():
    preview = shown(
        {"north": Wish(actions=("normalise",)), "south": Wish(actions=("incentives",))},
        state("north", "extract"),
        state("south", "extract", "failed", status_code="dependency_failed"),
        commits_ago=lambda commit: 14,
    )
    north, south, _ = preview.backends
    assert words(north) == {
        "extract": "reused: succeeded on 3 May, commit aaaaaaa, 14 commits ago",
        "normalise": "will run: asked for by name",
    }
    assert words(south) == {
        "extract": "will run: last run failed (dependency_failed)",
        "normalise": "will run: has not run here before",
        "incentives": "will run: asked for by name",
    }
    assert (north.standing, south.standing) == ("1 run, 1 reused", "3 run")
    assert (preview.job_count, preview.backend_count) == (4, 2)


def test_what_is_reused_though_its_input_will_change():
    (part, *_) = shown(
        {"north": Wish(actions=("extract", "figure"))}, state("north", "extract"), state("north", "normalise")
    ).backends
    assert words(part)["normalise"].endswith(", though its input will change")


def test_what_is_under_way_is_waited_for():
    part = shown({"north": Wish(actions=("normalise",))}, state("north", "extract", "running")).backends[0]
    assert words(part)["extract"] == "waits for the job that is running already"
    assert part.standing == "1 run, 1 already under way"


def test_forced_dependencies_are_those_of_one_backend():
    wish = {slug: Wish(actions=("normalise",), force=slug == "south") for slug in ("north", "south")}
    north, south, _ = shown(wish, state("north", "extract"), state("south", "extract")).backends
    assert north.counts == {"runs": 1, "reused": 1, "waits": 0}
    assert south.counts == {"runs": 2, "reused": 0, "waits": 0}


def test_a_backend_that_is_paused_starts_later():
    from dataclasses import replace

    later = replace(column("west"), starts_later="resumed")
    part = shown({"west": Wish(actions=("extract",))}, columns=(later,)).backends[0]
    assert part.standing == "1 run, starting when resumed"


def test_what_cannot_be_planned_is_said_there():
    preview = shown({"north": Wish(actions=("incentives",)), "south": Wish(actions=("incentives",))})
    north, south, _ = preview.backends
    assert north.problem.startswith("Action 'incentives' not found in project.yaml")
    assert north.standing == "cannot run"
    assert south.counts["runs"] == 3
    assert preview.has_problem


def test_codelists_out_of_date():
    wish = {"north": Wish(actions=("extract",)), "south": Wish(actions=("figure",))}
    done = [state("south", name) for name in ("extract", "normalise")]
    north, south, _ = shown(wish, *done, codelists_ok=False).backends
    assert north.problem == "Codelists are out of date (required by action extract)."
    assert not south.problem


def test_the_expected_time_is_that_of_the_longest_path_and_the_slowest_backend():
    took = {("north", "extract"): 60, ("north", "normalise"): 30, ("south", "extract"): 10, ("south", "figure"): 500}
    wish = {"north": Wish(actions=("extract", "normalise", "figure")), "south": Wish(actions=("extract",))}
    preview = shown(wish, seconds=took)
    assert [part.seconds for part in preview.backends] == [90, 10, None]
    assert preview.seconds == 90
    assert shown({"north": Wish(actions=("figure",))}, seconds={}).seconds is None


def test_a_long_list_is_folded():
    part = shown({"north": Wish(actions=("extract",))}).backends[0]
    assert part.more == 0


def test_dependents_near_and_far():
    assert dependents_of({"extract"}, column("south")) == {"normalise", "incentives", "figure"}
    assert dependents_of({"figure"}, column("south")) == set()
    assert START.date() < TODAY
