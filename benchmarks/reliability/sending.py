"""A sender that keeps a journal of its own: every mission that it was told is safe, on disk."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

SENDERS, DOMAINS = 4, 20
LATE_MISSIONS = 20
"""In each file that is dropped."""
RETRY_SECONDS = 0.2


class Journal:
    """Names of missions, one a line; what `note` was given is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self._lock = threading.Lock()
        self.count = 0

    def note(self, *missions: str) -> None:
        with self._lock:
            self._file.write("".join(f"{name}\n" for name in missions).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            self.count += len(missions)

    def missions(self) -> list[str]:
        with self._lock:
            self._file.seek(0)
            return self._file.read().decode().splitlines()

    def close(self) -> None:
        self._file.close()


def mission(name: str, number: int, completed: datetime) -> dict[str, object]:
    """A mission of twelve minutes."""
    return {
        "mission_id": name,
        "domain_id": f"domain-{number % DOMAINS:03}",
        "title": "Latency above its limit",
        "mission_type": "performance_optimization",
        "severity": "high",
        "started_at": (completed - timedelta(minutes=12)).isoformat(),
        "completed_at": completed.isoformat(),
        "success": number % 10 > 0,
        "trigger": {"metric": "latency_ms", "observed": 412.5, "threshold": 300.0},
        "actions": ["scaled workers from 4 to 8"],
        "metrics": {"latency_ms": 400.25},
    }


@contextmanager
def posting(url: str, journal: Journal, rate: float) -> Iterator[None]:
    """So many missions a second to the API at `url`, one a request, for as long as the block.

    One that was not taken is sent again until it is: the journal has what was acknowledged.
    """
    ended = threading.Event()
    pause = SENDERS / rate

    def post(sender: int) -> None:
        number, due = sender, time.monotonic()
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            while not ended.is_set():
                name = f"now-{number:09}"
                body = mission(name, number, datetime.now(UTC) - timedelta(seconds=1))
                if _taken(client, body, ended.is_set):
                    journal.note(name)
                number += SENDERS
                due += pause
                ended.wait(max(0.0, due - time.monotonic()))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _taken(client: httpx.Client, body: dict[str, object], given_up: Callable[[], bool]) -> bool:
    while not given_up():
        try:
            if client.post("/api/missions/events", json=body).status_code == 202:
                return True
        except httpx.TransportError:
            pass
        time.sleep(RETRY_SECONDS)
    return False


def drop(inbox: Path, journal: Journal, number: int, day: datetime) -> None:
    """Put a file of late missions of a day into the inbox, whole at once and on disk."""
    names = [f"late-{number:04}-{mission:02}" for mission in range(LATE_MISSIONS)]
    lines = [
        json.dumps(mission(name, n, day + timedelta(minutes=20 * (n + 1))))
        for n, name in enumerate(names)
    ]
    hidden = inbox / f".{number}.tmp"
    with hidden.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    hidden.rename(inbox / f"{number:04}.jsonl")
    folder = os.open(inbox, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    journal.note(*names)
