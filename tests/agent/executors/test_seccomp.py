"""The filter's program, run by a small interpreter of BPF; the conformance suite tries it in the kernel itself."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.agent.executors import seccomp


def verdict(program: bytes, architecture: int, number: int) -> int:
    words = list(struct.iter_unpack("=HBBI", program))
    place, accumulator = 0, 0
    while True:
        code, true, false, value = words[place]
        place += 1
        if code == seccomp.RETURN:
            return int(value)
        if code == seccomp.LOAD:
            accumulator = {seccomp.NUMBER_OFFSET: number, seccomp.ARCHITECTURE_OFFSET: architecture}[value]
        else:
            held = accumulator == value if code == seccomp.JUMP_IF_EQUAL else accumulator >= value
            place += true if held else false


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_exactly_the_list_is_refused(machine: str) -> None:
    program = seccomp.program(machine)
    assert program
    architecture, column = seccomp.ARCHITECTURES[machine]
    refused = {numbers[column] for numbers in seccomp.REFUSED.values()}
    for number in range(600):
        expected = seccomp.REFUSE if number in refused else seccomp.ALLOW
        assert verdict(program, architecture, number) == expected


@given(st.integers(seccomp.X32, 2**32 - 1))
def test_the_x32_interface_is_refused_whole(number: int) -> None:
    program = seccomp.program("x86_64")
    assert program
    assert verdict(program, seccomp.ARCHITECTURES["x86_64"][0], number) == seccomp.REFUSE


def test_programs_of_another_architecture_are_killed() -> None:
    program = seccomp.program("x86_64")
    assert program
    assert verdict(program, 0x40000003, 1) == seccomp.KILL


def test_a_machine_without_numbers_has_no_filter() -> None:
    assert seccomp.program("riscv64") is None
