"""How PostgreSQL stores the hot tables: room in each page for updates in place."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_room(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Half of each page free: every record is updated at least twice, inside its page (HOT)."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE jobs_record SET (fillfactor = 50)")
        schema_editor.execute("ALTER TABLE jobs_job SET (fillfactor = 20)")
        schema_editor.execute("ALTER TABLE jobs_costrollup SET (fillfactor = 50)")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]
    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
