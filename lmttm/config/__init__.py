"""Configurations: the schema of every key, and the files that set them."""
