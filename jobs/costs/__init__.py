"""Money: which price counts for a call, what a call costs, own prices, and the sums by team, job,
template, model and day. Integers of pico-USD throughout; `jobs.money` turns them into dollars.
"""
