"""Model names to offer while somebody types one."""

from jobs.models import Connection, Job, Price, Team

# A list to choose from, not a catalogue.
MOST = 200


def known_models(team: Team) -> list[str]:
    """What the team used, priced, or found at a connection's test; any other name may be typed."""
    names: set[str] = set()
    names.update(Job.objects.filter(team=team).values_list("model", flat=True).distinct()[:MOST])
    names.update(Price.objects.filter(team=team).values_list("model", flat=True)[:MOST])
    connections = Connection.objects.filter(team=team, removed_at__isnull=True)
    for found in connections.values_list("capabilities", flat=True):
        names.update(name for name in found.get("models", [])[:MOST] if isinstance(name, str))
    # A price may be one of a pattern.
    return sorted(name for name in names if "*" not in name)[:MOST]
