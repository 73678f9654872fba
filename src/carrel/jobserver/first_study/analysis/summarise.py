"""Say how many rows there are, rounded."""

from pathlib import Path

rows = len(Path("output/rows.csv").read_text().splitlines()) - 1
Path("output/summary.txt").write_text(f"About {round(rows, -1)} made-up people.\n")
