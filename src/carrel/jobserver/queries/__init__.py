"""Questions to the database that several rooms ask: few however many rows there are, and none of them writes."""
