"""The life of a record, from the bottom up in the packages that tell it.

1. A person uploads a file; `datasets` streams it into numbered rows, which never change again.
2. A template version (`prompts`) says what is asked of a row and what an answer must look like.
3. `control.launch` writes one job row: dataset, version, connection, model, limits. It rings `queue`.
4. A message is a doorbell; a worker that hears it runs a slice (`engine.slice`) for all runnable jobs.
5. The slice claims records: pending becomes running, under a lease whose token is the fence.
6. In the same transaction the highest possible cost of each call is reserved (`costs.pricing`).
7. `engine.plan` renders the row; the wire format (`providers`) builds the request; limits say when.
8. The transport sends it, once; the answer is parsed into an outcome with one failure class or none.
9. `engine.decide`: succeeded, failed, or pending again — to be retried, or because it had to wait.
10. `engine.settling` writes record, attempt, counters, costs in one transaction, if the lease is held.
11. An answer that comes after its lease was lost is a line in the ledger, never a second result.
12. A killed worker's leases run out; `engine.reconcile` takes its records back, their calls in doubt.
13. When no record is pending or running the job ends, and its status says how.
14. `control.replays` sends failed or chosen records back to pending; old attempts stay, and results too.
15. `control.export` streams each row once, with its result and where it came from.

`docs/life-of-a-record.md` tells it at length, `docs/state-machines.md` draws it.
"""
