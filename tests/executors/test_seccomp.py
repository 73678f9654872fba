"""The filter's program, run by a small interpreter of BPF; the conformance suite tries it in the kernel itself."""

import errno
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.executors import seccomp

EPERM, EAFNOSUPPORT, ENOSYS = (seccomp.FAIL | number for number in (errno.EPERM, errno.EAFNOSUPPORT, errno.ENOSYS))


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    words = list(struct.iter_unpack("=HBBI", program))
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    place, accumulator = 0, 0
    while True:
        code, true, false, value = words[place]
        place += 1
        if code == seccomp.RETURN:
            return int(value)
        if code == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("=I", data, value)
        else:
            held = {
                seccomp.JUMP_IF_EQUAL: accumulator == value,
                seccomp.JUMP_IF_AT_LEAST: accumulator >= value,
                seccomp.JUMP_IF_ANY_BIT: bool(accumulator & value),
            }[code]
            place += true if held else false


def expected(machine: str, number: int, *arguments: int) -> int:
    """What the module's tables say, read the slow way."""
    column = seccomp.ARCHITECTURES[machine][1]
    first, third = arguments[0], arguments[2]
    if number in {call[column] for call in seccomp.REFUSED.values()}:
        return EPERM
    if number == seccomp.CLONE3[column]:
        return ENOSYS
    if number == seccomp.CLONE[column]:
        return EPERM if first & seccomp.NEW_NAMESPACES else seccomp.ALLOW
    if number == seccomp.SOCKET[column]:
        return seccomp.ALLOW if first in (1, 2, 10) or (first, third) == (16, 0) else EAFNOSUPPORT
    if number == seccomp.SOCKETPAIR[column]:
        return seccomp.ALLOW if first == 1 else EAFNOSUPPORT
    return seccomp.ALLOW


ARGUMENTS = [(0, 0, 0), (0, 0, 9), (0x11, 0, 0), (0x10000011, 0, 0), (0x40000000, 0, 0), (0x02000000, 1, 1)]
ARGUMENTS += [(family, 1, protocol) for family in range(50) for protocol in (0, 9, 15)]


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_exactly_the_tables_are_held(machine: str) -> None:
    program = seccomp.program(machine)
    assert program
    architecture = seccomp.ARCHITECTURES[machine][0]
    for number in range(600):
        for arguments in ARGUMENTS:
            assert verdict(program, architecture, number, *arguments) == expected(machine, number, *arguments)


@given(st.integers(seccomp.X32, 2**32 - 1))
def test_the_x32_interface_is_refused_whole(number: int) -> None:
    program = seccomp.program("x86_64")
    assert program
    assert verdict(program, seccomp.ARCHITECTURES["x86_64"][0], number) == EPERM


def test_programs_of_another_architecture_are_killed() -> None:
    program = seccomp.program("x86_64")
    assert program
    assert verdict(program, 0x40000003, 1) == seccomp.KILL


def test_a_machine_without_numbers_has_no_filter() -> None:
    assert seccomp.program("riscv64") is None
    assert seccomp.profile("riscv64") is None


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_an_engines_profile_is_no_looser(machine: str) -> None:
    text = seccomp.profile(machine)
    assert text
    found = json.loads(text)
    assert found["defaultAction"] == "SCMP_ACT_ERRNO"
    assert [(each["architecture"], each["subArchitectures"]) for each in found["archMap"]] == [
        (f"SCMP_ARCH_{machine.upper()}", [])
    ]
    allowed = [rule for rule in found["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]
    assert not {name for rule in allowed for name in rule["names"]} & {*seccomp.REFUSED, "clone3"}
    without_condition = {name for rule in allowed if not rule.get("args") for name in rule["names"]}
    assert not without_condition & {"clone", "socket", "socketpair", "personality"}
    assert {"read", "execve", "fork", "futex", "mmap", "openat", "rseq"} <= without_condition
