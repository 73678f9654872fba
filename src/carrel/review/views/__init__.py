"""Pages, by room. Each module lists its pages in `PAGES` with what they need (`carrel.review.access`)."""
