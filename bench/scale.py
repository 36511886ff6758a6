"""What a record costs PostgreSQL over its whole life: log, disk, processor time, connections.

`docs/scaling.md` reckons from these figures what one server carries.
"""

import time
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg

from bench.figures import Figure, median
from bench.installation import Installation, answer
from tests.simulator_process import SimulatorProcess

TABLES = ("jobs_datasetrow", "jobs_record", "jobs_attempt")
SIZES = [1, 32, 256]
STEPS = ("launch", "claim", "settle")


@dataclass(frozen=True, slots=True)
class Reading:
    """Of the server: the place in its log (bytes), seconds of processor time, bytes by table."""

    log: int
    cpu: float
    sizes: dict[str, int]
    updated: int  # records
    hot: int


class Server:
    """The installation's PostgreSQL, looked at from outside."""

    def __init__(self, place: Installation) -> None:
        self.sql = psycopg.connect(place.environment["DATABASE_URL"], autocommit=True)
        folder = self.value("SHOW data_directory")
        with open(f"{folder}/postmaster.pid") as file:
            self.process = psutil.Process(int(file.readline()))

    def value(self, query: str) -> Any:
        row = self.sql.execute(query).fetchone()
        assert row is not None
        return row[0]

    def read(self, *, checkpoint: bool = False) -> Reading:
        """With a checkpoint each page that is touched next goes to the log whole, once."""
        if checkpoint:
            self.sql.execute("CHECKPOINT")
        sizes = {t: self.value(f"SELECT pg_total_relation_size('{t}')") for t in TABLES}
        log = self.value("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
        self.sql.execute("SELECT pg_stat_force_next_flush()")
        updates = self.sql.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'jobs_record'"
        ).fetchone()
        assert updates is not None
        return Reading(log, self._cpu(), sizes, *updates)

    def _cpu(self) -> float:
        """Of all its processes, also those that have ended."""
        times = [process.cpu_times() for process in self.process.children()]
        own = self.process.cpu_times()
        living = sum(one.user + one.system for one in (*times, own))
        return living + own.children_user + own.children_system

    def tables(self) -> dict[str, dict[str, int]]:
        rows = self.sql.execute(
            "SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count "
            "FROM pg_stat_user_tables WHERE relname LIKE 'jobs_%' AND n_tup_ins + n_tup_upd > 0"
        ).fetchall()
        names = ("inserted", "updated", "hot", "dead", "autovacuums")
        return {name: dict(zip(names, counts, strict=True)) for name, *counts in rows}

    def connections(self) -> int:
        """Not counting this one."""
        return int(
            self.value(
                "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
            )
        )


def life_of_a_record(runs: int, scale: float) -> list[Figure]:
    rows = max(2_000, int(20_000 * scale))
    found: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    with Installation("postgresql") as place, SimulatorProcess() as simulator:
        server = Server(place)
        for _ in range(runs):
            for checkpoints in found:
                found[checkpoints].append(_one_job(place, server, simulator, rows, checkpoints))
        tables, slices = server.tables(), _connections(place, server, simulator)
        job = place.ask("prepare", rows=rows, url=simulator.url)["job"]
        place.ask("expand", job=job)
        held = place.ask("held", job=job, sizes=SIZES)
        version = server.value("SHOW server_version")
        server.sql.close()

    def log(checkpoints: bool, step: str) -> float:
        return median([one["log"][step] for one in found[checkpoints]])

    def sums(checkpoints: bool) -> float:
        return sum(log(checkpoints, step) for step in STEPS)

    steps = ", ".join(f"{step} {log(False, step):,.0f}" for step in STEPS)
    disk = {t: median([one["disk"][t] for one in found[False]]) for t in TABLES}
    cpu = median([one["cpu_us"] for one in found[False]])
    hot = median([one["hot"] for one in found[False]])
    locked = "; ".join(
        f"{size}: {held['claim'][str(size)] * 1000:.1f} + {held['settle'][str(size)] * 1000:.1f} ms"
        for size in SIZES
    )
    return [
        Figure(name, measured, "", target, None, {"rows": rows, "postgresql": version, **detail})
        for name, measured, target, detail in (
            (
                "bytes of log a record",
                f"{sums(False):,.0f} ({steps})",
                f"with a checkpoint before each step {sums(True):,.0f}",
                {"runs": {str(key): value for key, value in found.items()}},
            ),
            (
                "bytes on disk a record",
                f"{sum(disk.values()):,.0f}",
                ", ".join(f"{table} {size:,.0f}" for table, size in disk.items()),
                {"disk": disk},
            ),
            ("server's CPU a record", f"{cpu:.0f} µs", "", {"cpu_us": cpu}),
            (
                "updates of records inside their page (HOT)",
                f"{hot:.0%}",
                "",
                {"tables": tables},
            ),
            ("a job's row is locked to claim + settle so many records", locked, "", held),
            ("connections of a slice at work", str(slices), "", {}),
        )
    ]


def _one_job(
    place: Installation,
    server: Server,
    simulator: SimulatorProcess,
    rows: int,
    checkpoints: bool,
) -> dict[str, Any]:
    """The whole life of a job's records, and of others the claim alone, to tell it from the settle."""
    before = server.read()
    job = place.ask("prepare", rows=rows, url=simulator.url)["job"]
    at = [server.read(checkpoint=checkpoints)]
    place.ask("expand", job=job)
    at.append(server.read(checkpoint=checkpoints))
    answer(place.start("work"))
    at.append(server.read())
    assert place.ask("outcome", job=job)["succeeded"] == rows
    claimed = place.ask("prepare", rows=rows, url=simulator.url)["job"]
    place.ask("expand", job=claimed)
    claim_from = server.read(checkpoint=checkpoints)
    place.ask("claim", job=claimed)
    claim = server.read().log - claim_from.log
    place.ask("forget", job=claimed)
    sizes = {
        "jobs_datasetrow": at[0].sizes["jobs_datasetrow"] - before.sizes["jobs_datasetrow"],
        "jobs_record": at[2].sizes["jobs_record"] - before.sizes["jobs_record"],
        "jobs_attempt": at[2].sizes["jobs_attempt"] - before.sizes["jobs_attempt"],
    }
    return {
        "log": {
            "launch": (at[1].log - at[0].log) / rows,
            "claim": claim / rows,
            "settle": (at[2].log - at[1].log - claim) / rows,
        },
        "disk": {table: size / rows for table, size in sizes.items()},
        "hot": (at[2].hot - at[0].hot) / (at[2].updated - at[0].updated),
        "cpu_us": (at[2].cpu - at[0].cpu) / rows * 1e6,
    }


def _connections(place: Installation, server: Server, simulator: SimulatorProcess) -> int:
    """The most that one slice is seen to hold."""
    simulator.set_faults({}, latency_ms=200.0)
    place.ask("prepare", rows=2_000, url=simulator.url)
    resting, most = server.connections(), 0
    work = place.start("work")
    while work.poll() is None:
        most = max(most, server.connections() - resting)
        time.sleep(0.05)
    answer(work)
    return most
