"""Virtual time: one heap of things to happen, and event loops that live on it.

An event loop is the engine's seam: `asyncio.sleep` asks it for the time, `run_in_executor` for where a
call that blocks is run. Here both are the timeline's, so that nothing is concurrent and nothing waits.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

# In the future, so that what the database or Django stamps itself is never later; and shortly before
# midnight, so that days change in many histories.
BEGINNING = datetime(2100, 1, 1, 23, 59, 40, tzinfo=UTC)


class Timeline:
    """Is a clock as the store wants one, too."""

    def __init__(self) -> None:
        self.at = 0.0
        self._heap: list[tuple[float, int, Process, Callable[[], None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at

    def add(self, at: float, process: "Process", act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(at, self.at), self._count, process, act))

    def step(self) -> bool:
        """The next thing happens; False if there is none."""
        while self._heap:
            at, count, process, act = heapq.heappop(self._heap)
            if process.dead:
                continue
            if process.frozen_until > at:
                # Keeps its place among what else had to wait.
                heapq.heappush(self._heap, (process.frozen_until, count, process, act))
                continue
            self.at = at
            act()
            return True
        return False


class Process:
    """What is killed or frozen as one."""

    def __init__(self, timeline: Timeline, name: str) -> None:
        self.timeline = timeline
        self.name = name
        self.dead = False
        self.frozen_until = 0.0

    def later(self, delay: float, act: Callable[[], None]) -> None:
        self.timeline.add(self.timeline.at + delay, self, act)


# Runs a blocking call of a process, now or later, and settles the future with what it came to.
Blocking = Callable[[Callable[..., Any], "asyncio.Future[Any]"], None]


class VirtualLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as tasks, timers, locks and one executor need."""

    def __init__(self, process: Process, blocking: Blocking) -> None:
        self.process = process
        self._blocking = blocking
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: list[asyncio.Task[Any]] = []
        self.faults: list[str] = []

    # --- what asyncio asks for --------------------------------------------------------------
    def time(self) -> float:
        return self.process.timeline.at

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.process.timeline.add(when, self.process, lambda: self._fire(handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass  # it is passed over when its time comes

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **options)
        self._tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> "asyncio.Future[Any]":
        future = self.create_future()
        self._blocking(func, future)
        return future

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.process.dead:
            self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    # --- what the timeline asks for ---------------------------------------------------------
    def _fire(self, handle: asyncio.Handle) -> None:
        if not handle.cancelled():
            self._ready.append(handle)
            self.drain()

    def drain(self) -> None:
        """Run all that is ready, and what becomes ready by it."""
        asyncio._set_running_loop(self)
        try:
            while self._ready and not self.process.dead:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)

    def bury(self) -> None:
        """End what is left of a killed process: whatever it wants to clean up, nobody does it."""
        assert self.process.dead
        asyncio._set_running_loop(self)
        try:
            for task in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _end(task.get_coro())
        finally:
            asyncio._set_running_loop(None)
        self._tasks.clear()
        self._ready.clear()


def _end(coroutine: Any) -> None:
    for _ in range(20):
        try:
            coroutine.close()
        except BaseException:
            continue  # it wanted to wait for something on its way out
        return
