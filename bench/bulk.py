"""What a job of a million rows takes: ingest, launch, export, pages."""

import csv
from pathlib import Path

from bench.figures import Figure, median
from bench.installation import KINDS, Installation, answer
from tests.simulator_process import SimulatorProcess

ROWS = 1_000_000


def ingest(runs: int, scale: float) -> list[Figure]:
    """The real ingest task beside reading the same file and copying its rows bare."""
    rows = int(ROWS * scale)
    figures = []
    for kind in KINDS:
        with Installation(kind) as place:
            path = _write_csv(place.folder / "rows.csv", rows)
            ours, bare = [], []
            for _ in range(runs):
                bare.append(place.ask("ingest_bare", path=str(path)))
                ours.append(place.ask("ingest", path=str(path), rows=rows))
            size = path.stat().st_size / 1e6
        times = median([one["seconds"] for one in ours]) / median([b["seconds"] for b in bare])
        peak = max(one["peak_kb"] for one in ours) / 1024
        figures.append(
            Figure(
                f"ingest of a CSV of {rows:,} rows, {size:.0f} MB, {kind}",
                f"{median([one['seconds'] for one in ours]):.1f} s, peak {peak:.0f} MB",
                f"read and copied bare: {median([one['seconds'] for one in bare]):.1f} s",
                f"≤ 1.5 ×: {times:.1f} ×; ≤ 150 MB",
                times <= 1.5 and peak <= 150,
                {"ours": ours, "bare": bare},
            )
        )
    return figures


def _write_csv(path: Path, rows: int) -> Path:
    """About 270 bytes a row; every tenth text has a line break and quotes in it."""
    words = "the parcel is late and nobody answers the telephone, please say what I should do now. "
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "customer", "country", "opened", "subject", "text"])
        for n in range(rows):
            text = f"Ticket {n}: {words * 2}" if n % 10 else f'Ticket {n}:\n"{words}"\n{words}'
            writer.writerow([f"{n:07}", f"C-{n % 9973}", "DE", "2026-03-01", "Late parcel", text])
    return path


def launch(runs: int, scale: float) -> list[Figure]:
    """From the launch's request to the first call, and until all records are there."""
    rows = int(ROWS * scale)
    with Installation("postgresql") as place, SimulatorProcess(latency_ms=50) as simulator:
        world = place.ask("prepare", rows=rows, url=simulator.url)
        place.ask("finish", job=world["job"])
        found = []
        for _ in range(runs):
            slice_process = place.start("work", idle=20.0)
            launched = place.ask("launch", like=world["job"], user=world["user"])
            answer(slice_process)
            found.append(launched | place.ask("first_call", job=launched["job"]))
    request = max(one["request_ms"] for one in found)
    first, there = (max(one[name] for one in found) for name in ("first_call_s", "expanded_s"))
    return [
        Figure(
            f"launch of a job of {rows:,} rows, postgresql",
            f"request {request:.0f} ms, first call after {first:.1f} s, all records {there:.1f} s",
            "",
            "≤ 200 ms; ≤ 3 s; ≤ 30 s",
            request <= 200 and first <= 3 and there <= 30,
            {"runs": found},
        )
    ]


def export(runs: int, scale: float) -> list[Figure]:
    """JSONL of all results beside a server-side COPY of the same rows as JSON."""
    rows = int(ROWS * scale)
    with Installation("postgresql") as place:
        job = place.ask("prepare", rows=rows, url="http://127.0.0.1:9")["job"]
        place.ask("pretend", job=job, attempts_each=1)
        ours, bare = [], []
        for _ in range(runs):
            bare.append(place.ask("export_bare", job=job))
            ours.append(place.ask("export", job=job, format="jsonl"))
    times = median([one["seconds"] for one in ours]) / median([one["seconds"] for one in bare])
    peak = max(one["peak_kb"] for one in ours) / 1024
    return [
        Figure(
            f"export of {rows:,} results, jsonl, postgresql",
            f"{median([one['seconds'] for one in ours]):.1f} s, peak {peak:.0f} MB",
            f"server-side COPY: {median([one['seconds'] for one in bare]):.1f} s",
            f"≤ 2 ×: {times:.1f} ×; ≤ 300 MB",
            times <= 2 and peak <= 300,
            {"ours": ours, "bare": bare},
        )
    ]


def pages(runs: int, scale: float) -> list[Figure]:
    """Server time of each page over a large job and a large ledger."""
    rows, each = int(ROWS * scale), 10
    with Installation("postgresql") as place:
        world = place.ask("prepare", rows=rows, url="http://127.0.0.1:9")
        place.ask("pretend", job=world["job"], attempts_each=each)
        found = place.ask("pages", job=world["job"], user=world["user"], times=10 * runs)
    slowest = max(found["pages"].items(), key=lambda item: item[1])
    return [
        Figure(
            f"pages, job of {rows:,} records, ledger of {rows * each:,} attempts, postgresql",
            f"slowest p95 {slowest[1]:.0f} ms ({slowest[0]})",
            "",
            "≤ 100 ms",
            slowest[1] <= 100,
            found["pages"],
        ),
        Figure(
            "live fragment of that job",
            f"p95 {found['fragment']:.0f} ms",
            "",
            "≤ 20 ms",
            found["fragment"] <= 20,
            {},
        ),
    ]
