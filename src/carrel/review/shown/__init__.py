"""What pages show of a file's bytes: tables, texts and images, as HTML in which nothing of a file is more than text."""
