"""One coordinator at a time: the lease on S3, over HTTP."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from tests.support.s3 import new_bucket, pass_time, s3_server

from carrel.ingest.store import (
    WarehouseBusy,
    WarehouseFault,
    WarehouseLost,
    coordinator_lock,
    ensure_held,
    open_storage,
)
from carrel.ingest.store.lock import Lease
from carrel.warehouse.layout import LOCK


def test_one_holder_at_a_time_and_the_next_at_once_afterwards(storage):
    with coordinator_lock(storage):
        ensure_held(storage, ask=True)
        with pytest.raises(WarehouseBusy), coordinator_lock(open_storage(storage.url)):
            pass
    with coordinator_lock(open_storage(storage.url)):
        pass


def test_who_is_refused_is_told_by_whom_and_for_how_long(on_s3):
    with (
        coordinator_lock(on_s3),
        pytest.raises(WarehouseBusy, match=rf"process {os.getpid()} on .*ends in (60|59|58) seconds"),
        coordinator_lock(open_storage(on_s3.url)),
    ):
        pass


def contenders(url, count=8):
    """Who of many, all at once, becomes the holder; they do not give it back."""
    leases = [Lease(open_storage(url)) for _ in range(count)]
    start = Barrier(count)

    def take(lease):
        start.wait()
        try:
            lease.take()
        except WarehouseBusy:
            return None
        return lease

    with ThreadPoolExecutor(count) as pool:
        return [lease for lease in pool.map(take, leases) if lease]


def test_of_many_who_begin_at_once_one_holds_it(on_s3):
    (winner,) = contenders(on_s3.url)
    assert json.loads(on_s3.read(LOCK))["token"] == winner.token


def test_a_killed_holders_lease_goes_to_one_of_many_after_its_end_and_to_none_before(on_s3):
    code = (
        "import os, sys; from carrel.ingest.store import coordinator_lock, open_storage\n"
        "with coordinator_lock(open_storage(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, on_s3.url], check=False).returncode == -signal.SIGKILL
    assert contenders(on_s3.url) == []
    pass_time(on_s3)
    (winner,) = contenders(on_s3.url)
    winner.check(ask=True)
    assert contenders(on_s3.url) == []


def test_a_lease_is_renewed_as_long_as_it_is_held(on_s3):
    now = [0.0]
    lease = Lease(on_s3, 60, lambda: now[0])
    lease.take()
    before = on_s3.read(LOCK)
    for _ in range(5):
        now[0] += 50
        lease.renew()
        assert not lease.is_lost
    assert on_s3.read(LOCK) != before
    now[0] += 55
    assert lease.is_lost, "others may take it: its holder must not rely on it so near to its end"
    with pytest.raises(WarehouseLost):
        lease.check(ask=False)


def test_the_thread_of_the_holder_renews_it(on_s3):
    from tests.support.waiting import until

    with coordinator_lock(on_s3, lease_seconds=1):
        first = on_s3.version(LOCK).etag
        until(lambda: on_s3.version(LOCK).etag != first, "a renewal")
        ensure_held(on_s3, ask=True)


def test_a_holder_who_slept_finds_that_it_was_taken_over(on_s3):
    lease = Lease(on_s3)
    lease.take()
    pass_time(on_s3)
    (other,) = contenders(on_s3.url, 1)
    assert not lease.is_lost, "it cannot know before it asks"
    with pytest.raises(WarehouseLost):
        lease.check(ask=True)
    assert lease.is_lost
    lease.renew()
    lease.release()
    other.check(ask=True)


def test_a_holder_who_renews_too_late_has_lost_it(on_s3):
    lease = Lease(on_s3)
    lease.take()
    pass_time(on_s3)
    (other,) = contenders(on_s3.url, 1)
    lease.renew()
    assert lease.is_lost
    lease.release()
    other.check(ask=True)


def test_a_renewal_whose_answer_was_lost_is_a_renewal(on_s3, monkeypatch):
    lease = Lease(on_s3)
    lease.take()
    swap = on_s3.swap

    def unanswered(*arguments):
        swap(*arguments)
        raise WarehouseFault("the network broke off")

    monkeypatch.setattr(on_s3, "swap", unanswered)
    with pytest.raises(WarehouseFault):
        lease.renew()
    monkeypatch.setattr(on_s3, "swap", swap)
    lease.renew()
    lease.check(ask=True)


def test_the_age_of_a_lease_is_told_by_s3s_clock_not_by_ours(on_s3, monkeypatch):
    from carrel.ingest.store import s3_storage

    class Later:
        @staticmethod
        def now(zone):
            raise AssertionError("our clock may be wrong")

    monkeypatch.setattr(s3_storage, "datetime", Later)
    Lease(on_s3).take()
    assert 0 <= on_s3.version(LOCK).age < 30


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_a_server_that_ignores_conditions_is_refused(header, s3, monkeypatch):
    with s3_server(header) as deaf:
        monkeypatch.setenv("AWS_ENDPOINT_URL", deaf)
        storage = open_storage(f"s3://{new_bucket(deaf)}/w")
        with (
            pytest.raises(WarehouseFault, match="the server ignores If-Match or If-None-Match"),
            coordinator_lock(storage),
        ):
            pass
