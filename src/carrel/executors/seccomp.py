"""The system call filter of every job, twice: as a program for bubblewrap, as a profile for container engines.

Both refuse what no analysis needs and attacks on kernels are made of, sockets of all families but four, and new
namespaces. Bubblewrap's is a classic BPF program as the kernel wants it (Documentation/userspace-api/
seccomp_filter.rst): check the architecture, then the number, then an argument. Numbers: the kernel's `syscall_64.tbl`
and `asm-generic/unistd.h`. An engine's is the list of calls that engines allow by default, without those
(`syscalls.py`): its own profile would be replaced by a list of refusals alone, and be looser.
"""

import errno
import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carrel.executors.syscalls import ALLOWED_BY_ENGINES

ALLOW, FAIL, KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_ALLOW, _ERRNO (| the number), _KILL_PROCESS
LOAD, RETURN = 0x20, 0x06
JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_ANY_BIT = 0x15, 0x35, 0x45
NUMBER_OFFSET, ARCHITECTURE_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16
X32 = 0x40000000  # numbers of the x32 interface, by which the list could be gone round

# name: number on x86_64, on aarch64
REFUSED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
CLONE, CLONE3, SOCKET, SOCKETPAIR = (56, 220), (435, 435), (41, 198), (53, 199)
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_*, column of the numbers

NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: further namespaces are for nobody."""
FAMILIES = (int(socket.AF_UNIX), int(socket.AF_INET), int(socket.AF_INET6))
"""Families of sockets that a job may open. Others reach past its network namespace (AF_VSOCK) or are old, odd code."""
AF_NETLINK, NETLINK_ROUTE = 16, 0
"""Netlink only to look at its own network interfaces, as getifaddrs(3) does."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """`true` and `false`: the labels to go on at; "" for the next instruction."""

    code: int
    value: int
    true: str = ""
    false: str = ""


Labelled = Sequence["Instruction | str"]


def program(machine: str | None = None) -> bytes | None:
    """The filter for this machine (or one that `uname` calls `machine`), or None for one whose numbers are not here."""
    machine = machine or os.uname().machine
    if machine not in ARCHITECTURES:
        return None
    architecture, column = ARCHITECTURES[machine]
    x32 = [Instruction(JUMP_IF_AT_LEAST, X32, "refuse")] if machine == "x86_64" else []
    numbers = sorted(call[column] for call in REFUSED.values())
    return _assemble(
        [
            Instruction(LOAD, ARCHITECTURE_OFFSET),
            Instruction(JUMP_IF_EQUAL, architecture, "", "kill"),
            Instruction(LOAD, NUMBER_OFFSET),
            *x32,
            *(Instruction(JUMP_IF_EQUAL, number, "refuse") for number in numbers),
            # Its flags lie in memory, where no filter can look: programs take clone() where there is no clone3().
            Instruction(JUMP_IF_EQUAL, CLONE3[column], "no such call"),
            Instruction(JUMP_IF_EQUAL, CLONE[column], "clone"),
            Instruction(JUMP_IF_EQUAL, SOCKET[column], "socket"),
            Instruction(JUMP_IF_EQUAL, SOCKETPAIR[column], "pair", "allow"),
            "clone",
            Instruction(LOAD, ARGUMENTS_OFFSET),
            Instruction(JUMP_IF_ANY_BIT, NEW_NAMESPACES, "refuse", "allow"),
            "socket",
            Instruction(LOAD, ARGUMENTS_OFFSET),
            *(Instruction(JUMP_IF_EQUAL, family, "allow") for family in FAMILIES),
            Instruction(JUMP_IF_EQUAL, AF_NETLINK, "", "no such family"),
            Instruction(LOAD, ARGUMENTS_OFFSET + 2 * 8),
            Instruction(JUMP_IF_EQUAL, NETLINK_ROUTE, "allow", "no such family"),
            "pair",
            Instruction(LOAD, ARGUMENTS_OFFSET),
            Instruction(JUMP_IF_EQUAL, int(socket.AF_UNIX), "allow", "no such family"),
            "kill",
            Instruction(RETURN, KILL),
            "no such call",
            Instruction(RETURN, FAIL | errno.ENOSYS),
            "no such family",
            Instruction(RETURN, FAIL | errno.EAFNOSUPPORT),
            "refuse",
            Instruction(RETURN, FAIL | errno.EPERM),
            "allow",
            Instruction(RETURN, ALLOW),
        ]
    )


def _assemble(lines: Labelled) -> bytes:
    positions: dict[str, int] = {}
    instructions: list[Instruction] = []
    for line in lines:
        if isinstance(line, str):
            positions[line] = len(instructions)
        else:
            instructions.append(line)
    code = bytearray()
    for number, instruction in enumerate(instructions):
        jumps = (positions[label] - number - 1 if label else 0 for label in (instruction.true, instruction.false))
        code += struct.pack("=HBBI", instruction.code, *jumps, instruction.value)
    return bytes(code)


def profile(machine: str | None = None) -> str | None:
    """The same for an engine, as the text of `--security-opt seccomp=`; None where the engine's own has to do.

    Format: Docker's `profiles/seccomp` (the OCI runtime specification's `linux.seccomp`, with names of machines).
    """
    machine = machine or os.uname().machine
    if machine not in ARCHITECTURES:
        return None
    plain = sorted(ALLOWED_BY_ENGINES - REFUSED.keys() - {"clone", "clone3", "personality", "socket", "socketpair"})
    rules = [
        {"names": plain, "action": "SCMP_ACT_ALLOW"},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
        _rule("clone", _argument(0, NEW_NAMESPACES, "SCMP_CMP_MASKED_EQ")),
        *(_rule("socket", _argument(0, family)) for family in FAMILIES),
        _rule("socket", _argument(0, AF_NETLINK), _argument(2, NETLINK_ROUTE)),
        _rule("socketpair", _argument(0, int(socket.AF_UNIX))),
        *(_rule("personality", _argument(0, value)) for value in PERSONALITIES),
    ]
    # No other architectures: by the calls of 32-bit programs the list could be gone round.
    native = {"architecture": f"SCMP_ARCH_{machine.upper()}", "subArchitectures": []}
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "archMap": [native], "syscalls": rules})


PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""As engines allow: Linux, uname of version 2.6, the same for 32 bits, and to ask which it is."""


def _rule(name: str, *arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _argument(index: int, value: int, comparison: str = "SCMP_CMP_EQ") -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": 0, "op": comparison}
