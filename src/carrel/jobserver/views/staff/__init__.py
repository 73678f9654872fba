"""The staff area. Each module lists its pages in `PAGES`; `pages.py` puts them together."""
