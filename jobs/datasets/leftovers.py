"""Files that no dataset names: what a killed server had received of an upload."""

import time
from datetime import timedelta

from django.conf import settings

from jobs.models import Dataset

# Longer than any upload takes; younger files may be one that is arriving.
KEPT = timedelta(days=1)


def remove_leftovers() -> int:
    """Remove what has lain in this machine's upload folder for a day without a dataset."""
    before = time.time() - KEPT.total_seconds()
    old = [
        path
        for path in settings.UPLOAD_DIR.iterdir()
        if path.is_file() and path.stat().st_mtime < before
    ]
    named = set(
        Dataset.objects.filter(path__in=[path.name for path in old]).values_list("path", flat=True)
    )
    removed = [path for path in old if path.name not in named]
    for path in removed:
        path.unlink(missing_ok=True)
    return len(removed)
