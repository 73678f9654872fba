"""The room below all others: how sizes, times, lists and words of truth are written, and the bounds on what is read.

It imports nothing of Carrel. A fact that two rooms need and that belongs to neither stands here, once.
"""
