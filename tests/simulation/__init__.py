"""The engine's real code under a seed: virtual time, a provider that keeps its own books, workers whose
steps interleave by chance, and everything broken on purpose. Each history can be run again."""
