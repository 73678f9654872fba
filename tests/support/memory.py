"""How much memory a piece of Python needs, in a process of its own."""

import subprocess
import sys

PEAK = """
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
"""
"""`peak()`: most bytes that the process had at once. getrusage would tell of the process that started it, too."""
_MEASURE = (
    PEAK
    + """
{prepare}
base = peak()
{code}
print(peak() - base)
"""
)


def peak_above(prepare: str, code: str) -> int:
    """Bytes by which `code` raised the peak of a process that had run `prepare` (its imports) already."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE.format(prepare=prepare, code=code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])
