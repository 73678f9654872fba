"""The pure core of running: what a page offers, what reports of jobs come to, whom to tell. No database, no clock."""
