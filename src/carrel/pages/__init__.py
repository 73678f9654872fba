"""What Carrel's sites look like: tokens, templates, components, charts and diffs, for every site.

A Django app without models. README.md beside this file says what a site gives it and what a page takes from it.
"""
