"""What a backend's data is for SQL: its catalogue, which columns a statement reads, and so which actions can run there.

Deciding is pure: `outline_of` makes a value of a SQL text, `read_outline` holds it against one database of a
catalogue, `runnable` a whole study against those of several backends. Catalogues are built where the data is
(`carrel catalogue build`); a job server knows them as JSON only (`carrel.messages.catalogue`).
"""
