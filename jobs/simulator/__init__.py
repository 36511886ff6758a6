"""The provider simulator: the vendors' formats over real HTTP, with any fault on demand.

It imports nothing from the rest of `jobs`, so that it can bear witness: what it counted is held
against what the product booked. A call goes through

    http (bytes to request) → openai / anthropic (request to `Question`) → limits → faults
    → answers (a plausible `Answer`) → openai / anthropic (answer to JSON) → http → stats.

Models are named sim-… (sim-small, sim-medium, sim-large, or whatever follows); any other name is
answered 404, as the vendors do. `jobs.simulator.server.Simulator` ties them together;
`python -m jobs.simulator` runs it.
"""
