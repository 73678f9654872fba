import pytest

from carrel.telemetry.metrics import Gauge, exposition


def test_the_text_that_prometheus_reads():
    body, content_type = exposition(
        [
            Gauge("carrel_disk_free_bytes", "Free bytes", samples={(): 5}),
            Gauge("carrel_jobs", "Jobs", ("backend",), {("north",): 2, ('so"uth',): 0}),
            Gauge("carrel_empty", "Nothing yet", ("backend",)),
        ]
    )
    assert content_type.startswith("text/plain")
    assert body.decode().splitlines() == [
        "# HELP carrel_disk_free_bytes Free bytes",
        "# TYPE carrel_disk_free_bytes gauge",
        "carrel_disk_free_bytes 5.0",
        "# HELP carrel_jobs Jobs",
        "# TYPE carrel_jobs gauge",
        'carrel_jobs{backend="north"} 2.0',
        'carrel_jobs{backend="so\\"uth"} 0.0',
        "# HELP carrel_empty Nothing yet",
        "# TYPE carrel_empty gauge",
    ]


@pytest.mark.parametrize(
    ("gauge", "message"),
    [(Gauge("not a name", "x"), "no name of a metric"), (Gauge("a", "x", ("b",), {(): 1}), "one value for each")],
)
def test_what_prometheus_would_refuse_is_refused(gauge, message):
    with pytest.raises(ValueError, match=message):
        exposition([gauge])
