"""How long the latest answers of a job took, out of the ledger: what one slice learned of them, the next
knows from its first call on, though it comes after a restart and for the last few rows."""

from jobs.engine.dialect import Dialect
from jobs.engine.patience import MEMORY, Patience
from jobs.engine.plan import Plan
from jobs.failures import FailureClass
from jobs.models import AttemptOutcome, Job

LATEST = MEMORY // 2
# The ledger is read by its key, from the job's cursor back: of all rows the last ones, of a sample those
# that are far apart. Asked without an end, a server that has not counted a new job's lines may sort them
# all.
_BACK = (4, 128, 4096)


def latest_answers(dialect: Dialect, plan: Plan) -> list[tuple[float, int | None]]:
    """Seconds and output tokens of calls with the plan's connection and model, oldest first; None for
    the tokens of one that was given up before the job's timeout."""
    cursor_at = Job.objects.filter(pk=plan.job_id).values_list("cursor", flat=True).get()
    with dialect.connection.cursor() as cursor:
        for wide in _BACK:
            past = cursor_at - wide * LATEST
            cursor.execute(
                "SELECT connection_id, model, outcome, failure_class, http_status, took_ms, "
                "output_tokens FROM jobs_attempt WHERE job_id = %s AND n > %s AND n <= %s "
                "ORDER BY n DESC, number DESC LIMIT %s",
                [plan.job_id, past, cursor_at, LATEST],
            )
            rows = cursor.fetchall()
            if len(rows) == LATEST or past <= 0:
                break
    found: list[tuple[float, int | None]] = []
    for connection_id, model, outcome, failure, status, took_ms, tokens in reversed(rows):
        if (connection_id, model) != plan.lane:
            continue
        took = took_ms / 1000
        if outcome == AttemptOutcome.IN_DOUBT:
            if failure == FailureClass.TIMEOUT and took < 0.98 * plan.timeout:
                found.append((took, None))
        elif status == 200 and tokens:
            found.append((took, tokens))
    return found


def learn(patience: Patience, answers: list[tuple[float, int | None]]) -> Patience:
    for took, tokens in answers:
        if tokens is None:
            patience.gave_up()
        else:
            patience.answered(took, tokens)
    return patience
