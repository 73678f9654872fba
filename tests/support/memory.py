"""How much memory a piece of Python needs, in a process of its own."""

import subprocess
import sys

_MEASURE = """
import resource
{prepare}
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{code}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) * 1024)
"""


def peak_above(prepare: str, code: str) -> int:
    """Bytes by which `code` raised the peak of a process that had run `prepare` (its imports) already."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE.format(prepare=prepare, code=code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])
