"""How PostgreSQL stores the hot tables: room in each page for updates in place, and when it tidies them."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Half of each page free: every record is updated at least twice, inside its page (HOT).
ROOM = {"jobs_record": 50, "jobs_job": 20, "jobs_costrollup": 50}
# They grow to hundreds of millions of rows: by the server's default, a fifth of a table must be dead
# before it is tidied, and a fifth new before the pages of what is over are known to be so.
LARGE = ("jobs_record", "jobs_attempt", "jobs_datasetrow")
# They hold little and turn over all the time: each claim reads past what is dead in them.
BUSY = (
    "jobs_due",
    "jobs_lease",
    "jobs_worker",
    "jobs_throughput",
    "jobs_limitstate",
    "django_q_ormq",
)
OF_LARGE = (
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02, "
    "autovacuum_analyze_scale_factor = 0.02"
)
OF_BUSY = (
    "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, "
    "autovacuum_vacuum_cost_delay = 0"
)


def store(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, percent in ROOM.items():
        schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")
    for tables, parameters in ((LARGE, OF_LARGE), (BUSY, OF_BUSY)):
        for table in tables:
            schema_editor.execute(f"ALTER TABLE {table} SET ({parameters})")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(store, migrations.RunPython.noop)]
