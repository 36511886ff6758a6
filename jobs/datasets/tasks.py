"""What queue messages name."""

from jobs import queue
from jobs.datasets import ingest as ingesting

ingest = queue.task(ingesting.ingest)
