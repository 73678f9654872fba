"""A bell between threads: rings are neither lost nor counted."""

import select
import threading

from carrel.agent.doorbell import Doorbell


def test_rings_before_the_wait_are_heard_once():
    bell = Doorbell()
    bell.ring()
    bell.ring()
    bell.wait(None)
    assert select.select([bell.fd], [], [], 0)[0] == []
    bell.close()


def test_a_ring_ends_a_wait_in_another_thread():
    bell = Doorbell()
    waiter = threading.Thread(target=bell.wait, args=(None,))
    waiter.start()
    bell.ring()
    waiter.join(20)
    assert not waiter.is_alive()
    bell.close()


def test_closed_it_is_silent():
    bell = Doorbell()
    bell.close()
    bell.close()
    bell.ring()
    bell.hear()
    bell.wait(0)
    assert bell.fd is None
