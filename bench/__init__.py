"""Benchmarks: each figure beside its ceiling, measured in the same run on the same machine.

`python -m bench` (or `make bench`) prints the table and writes `bench/latest.json`; docs/performance.md
explains the figures. What is measured runs in processes of its own (`bench.inside`, `bench.bare`), so
that their CPU time and peak memory are theirs alone.
"""
