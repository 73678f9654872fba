"""A system call filter for bubblewrap: what no analysis needs and attacks on kernels are made of, refused with EPERM.

A classic BPF program as the kernel wants it (Documentation/userspace-api/seccomp_filter.rst): check the architecture,
then the number against a list. Numbers: the kernel's `syscall_64.tbl` and `asm-generic/unistd.h`.
"""

import os
import struct

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000  # SECCOMP_RET_ALLOW, _ERRNO | EPERM, _KILL_PROCESS
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_OFFSET, ARCHITECTURE_OFFSET = 0, 4
X32 = 0x40000000  # numbers of the x32 interface, by which the list could be gone round

# name: number on x86_64, on aarch64
REFUSED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "delete_module": (176, 106),
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
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_*, column of REFUSED


def program(machine: str | None = None) -> bytes | None:
    """The filter for this machine (or one that `uname` calls `machine`), or None for one whose numbers are not here."""
    machine = machine or os.uname().machine
    if machine not in ARCHITECTURES:
        return None
    architecture, column = ARCHITECTURES[machine]
    numbers = sorted(each[column] for each in REFUSED.values())
    checks = [(JUMP_IF_EQUAL, number) for number in numbers]
    if machine == "x86_64":
        checks.insert(0, (JUMP_IF_AT_LEAST, X32))
    words = [
        _word(LOAD, ARCHITECTURE_OFFSET),
        _word(JUMP_IF_EQUAL, architecture, true=1),
        _word(RETURN, KILL),
        _word(LOAD, NUMBER_OFFSET),
        # Each jumps over the checks that follow it and over the ALLOW.
        *(_word(check, number, true=len(checks) - place) for place, (check, number) in enumerate(checks)),
        _word(RETURN, ALLOW),
        _word(RETURN, REFUSE),
    ]
    return b"".join(words)


def _word(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)
