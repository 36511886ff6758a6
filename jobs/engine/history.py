"""What became of a limit, minute by minute, for people to look at: a ring of some numbers in the shared
state, which is written at each tick anyway."""

KEPT = 30  # minutes: with more, the row would outgrow its place on the page

# [minute, calls let in, calls refused, requests/min that all slices together were held to; 0: none]
Minute = list[int]


def note(past: list[Minute], now: float, let_in: int, refused: int, rate: float | None) -> None:
    """Add what a slice saw to the minute under way. Changes `past`."""
    minute = int(now // 60)
    if not past or past[-1][0] < minute:
        past.append([minute, 0, 0, 0])
        del past[:-KEPT]
    latest = past[-1]
    latest[1] += let_in
    latest[2] += refused
    latest[3] = round(rate or 0)


def filled(past: list[Minute], now: float) -> list[Minute]:
    """All minutes up to now, those in which nobody called too: a limit stays as it was left."""
    minute, known, level = int(now // 60), {one[0]: one for one in past}, 0
    before = [one for one in past if one[0] <= minute - KEPT]
    if before:
        level = before[-1][3]
    every: list[Minute] = []
    for one in range(minute - KEPT + 1, minute + 1):
        every.append(known.get(one, [one, 0, 0, level]))
        level = every[-1][3]
    return every
