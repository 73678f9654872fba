"""What a warehouse looks like: where things lie in it, what they are called in SQL, its views, versions of its tables.

Whoever writes warehouses (`carrel ingest`), reads them (sqlrunner) or pins them (the agent) knows the format from here.
Needs no library, and imports `units` alone.
"""
