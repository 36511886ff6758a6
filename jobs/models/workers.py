"""Who is at work: heartbeats of queue workers, judged by their own progress."""

from django.db import models


class Worker(models.Model):
    """One process that runs slices or short tasks. Its id is random for each start, so that nothing
    of a former process with the same host and PID is ever taken over.
    """

    id = models.CharField(max_length=32, primary_key=True)
    kind = models.CharField(max_length=10)  # slice | short | cluster
    host = models.CharField(max_length=200)
    pid = models.IntegerField()
    version = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)
    in_flight = models.IntegerField(default=0)
    detail = models.JSONField(default=dict)  # what it runs: jobs, levels, why

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Errand(models.Model):
    """A named duty that one process at a time performs, and when it was last done."""

    name = models.CharField(max_length=40, primary_key=True)
    owner = models.CharField(max_length=32, blank=True)
    until = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
