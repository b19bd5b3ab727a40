"""What a run works on at once, and in how many processes."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    from concurrent.futures import Future

    from grace_assets.lake.domains import Domains

CHUNK_DAYS = 31
"""Days that a long range works on at once, however few missions they have."""
MOST_PROCESSES = 4
"""Unless `GRACE_PROCESSES` says otherwise: a machine has other work."""
IDLE_SECONDS = 60
"""After which a process without work ends. The next asset that has some starts within it."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Portion:
    """What is worked on at once: some whole days, or of one large day a range of domains."""

    days: Sequence[str]
    domains: "Domains"
    first: bool = True
    last: bool = True

    @property
    def whole(self) -> bool:
        """Whether it has all domains of its days."""
        return self.first and self.last


def portions(store: StoreResource, days: Sequence[str], processes: int = 1) -> Iterator[Portion]:
    """`days` (ascending) in portions of `GRACE_MISSIONS_AT_ONCE` missions, at least a domain each.

    This, and neither the length of a range nor the size of a day, bounds the memory of a run.
    So many `processes` share it.
    """
    from grace_assets.lake.domains import EVERY

    most = max(store.missions_at_once // processes, 1)
    with store.landing() as landing:
        sizes = landing.missions.counts(days)
    some: list[str] = []
    missions = 0
    for day in days:
        size = sizes.get(day, 0)
        if some and (len(some) == CHUNK_DAYS or missions + size > most):
            yield Portion(some, EVERY)
            some, missions = [], 0
        if size > most:
            with store.landing() as landing:
                ranges = landing.missions.portions(day, most)
            for place, domains in enumerate(ranges):
                yield Portion([day], domains, place == 0, place == len(ranges) - 1)
        else:
            some.append(day)
            missions += size
    if some:
        yield Portion(some, EVERY)


def give_back() -> None:
    """Return to the system what Arrow keeps for later, so that portions do not add up."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def worked(
    store: StoreResource, days: Sequence[str], make: Callable[[StoreResource, Portion], Made]
) -> Iterator[tuple[Portion, Made]]:
    """Each portion of `days`, in order, with what `make` makes of it.

    A run of many missions makes them in processes of its own, so `make` is a function of a module
    (or `partial` of one) that writes nothing, and what it returns can be pickled.
    """
    processes = _processes(store, days)
    if processes == 1:
        for portion in portions(store, days):
            yield portion, make(store, portion)
        return
    from loky import get_reusable_executor

    executor = get_reusable_executor(
        max_workers=processes,
        timeout=IDLE_SECONDS,
        initializer=_end_with_parent,
        initargs=(os.getpid(),),
        env=dict(os.environ),
    )
    store_of = (type(store), store.model_dump())
    running: deque[tuple[Portion, Future[Made]]] = deque()
    done = False
    try:
        for portion in portions(store, days, processes):
            running.append((portion, executor.submit(_made, *store_of, make, portion)))
            # One more than they are, for the time in which ours are written.
            if len(running) > processes:
                yield _next(running)
        while running:
            yield _next(running)
        done = True
    finally:
        if not done:
            executor.shutdown(wait=False, kill_workers=True)


def _processes(store: StoreResource, days: Sequence[str]) -> int:
    """In how many processes a run over `days` is worked: one is ours.

    What is worked on at once anyway is soon done; others take a second or two to start. A process
    of Celery's may start none: what works beside it is another one of Celery's.
    """
    if store.processes == 1 or multiprocessing.current_process().daemon:
        return 1
    with store.landing() as landing:
        if sum(landing.missions.counts(days).values()) <= store.missions_at_once:
            return 1
    from loky import cpu_count

    # Of a container its share, where the machine's would be too many.
    return store.processes or min(cpu_count(), MOST_PROCESSES)


def _next(running: "deque[tuple[Portion, Future[Made]]]") -> tuple[Portion, Made]:
    """Of the oldest, without a name left in `worked` that would hold it while the next is made."""
    portion, made = running.popleft()
    return portion, made.result()


def _made(
    kind: type[StoreResource],
    settings: Mapping[str, Any],
    make: Callable[[StoreResource, Portion], Made],
    portion: Portion,
) -> Made:
    # A resource of Dagster's cannot be pickled.
    made = make(kind(**settings), portion)
    give_back()
    return made


def _end_with_parent(parent: int) -> None:
    """In a process: leave Ctrl-C to the run that it works for, and end where that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
