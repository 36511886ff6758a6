"""Uploads and what becomes of them: the file is kept as it came, then ingested into numbered, immutable
rows by a queue task that may be killed at any point. `readers` knows the formats.
"""
