"""How fast archives become tables, as ratios against a floor, dlt and PySpark in the same run."""
