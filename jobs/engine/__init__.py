"""How a job runs: claim, limit, call, retry, settle, reconcile. The tables are the truth and a queue
message is a doorbell. Knows jobs and records, time and leases; knows no page and no wire format.
"""
