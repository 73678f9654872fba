"""Write a hundred made-up rows."""

from pathlib import Path

folder = Path("output")
folder.mkdir(exist_ok=True)
lines = ["person,visits", *(f"{person},{person % 7}" for person in range(100))]
(folder / "rows.csv").write_text("\n".join(lines) + "\n")
