"""What queue messages name."""

from jobs.datasets.ingest import ingest

__all__ = ["ingest"]
