"""`python -m benchmarks.jobserver [pages] [people]`: both, or the one named. Exit code 1 when a target is missed."""

import subprocess
import sys

PARTS = ("pages", "people")

if __name__ == "__main__":
    chosen = sys.argv[1:] or PARTS
    results = [subprocess.run([sys.executable, "-m", f"benchmarks.jobserver.{part}"], check=False) for part in chosen]
    sys.exit(max(result.returncode for result in results))
