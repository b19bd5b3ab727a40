"""Answers that are sent again as they were, in front of the framework that would make them anew.

Matching a route and checking its parameters takes far longer than sending a few kilobytes. Who
may ask is checked before: this stands behind the gate. By which name stands in the key: nothing is
made, and so kept, for a name that is not answered.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from grace_assets.api.answers import encoded, unchanged

KEPT_SECONDS, KEPT_ANSWERS = 1.0, 256

Tables = tuple[str, ...]
_Key = tuple[str, bytes, bytes]


@dataclass(frozen=True)
class _Kept:
    """An answer of `tables` as they were at `version`, asked for at a time of the clock's own.

    Who asks while it is made waits for it: many do at once whenever one has become too old.
    """

    tables: Tables
    version: Hashable
    asked: float
    answer: asyncio.Task[Response]

    @property
    def too_old(self) -> bool:
        return time.monotonic() >= self.asked + KEPT_SECONDS


class Prepared:
    """Answers by path, query and host, as long as `version` of the tables they are of is the same.

    What others than we put into the tables shows when an answer is `KEPT_SECONDS` old.
    """

    def __init__(self, version: Callable[[Tables], Hashable]) -> None:
        self._version = version
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    def found(self, scope: Scope) -> Response | None:
        """What would be told now, where it is known without making it."""
        kept = self._kept.get(_key(scope))
        if kept is None or not kept.answer.done() or kept.too_old:
            return None
        try:
            version = self._version(kept.tables)
        except OSError:
            # The route meets it as well, and says it as every route does.
            return None
        if version != kept.version:
            return None
        answer = kept.answer.result()
        return unchanged(scope, answer) or answer

    async def told(
        self, request: Request, tables: Tables, made: Callable[..., Any], *args: Any
    ) -> Response:
        """As `answers.told`, made of `tables` in a thread, and kept."""
        # Before making: what changes meanwhile makes the next answer anew.
        version, key = self._version(tables), _key(request.scope)
        kept = self._kept.get(key)
        if kept is None or kept.version != version or kept.too_old:
            making = asyncio.create_task(self._make(key, made, *args))
            kept = self._kept[key] = _Kept(tables, version, time.monotonic(), making)
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT_ANSWERS:
                self._kept.popitem(last=False)
        answer = await asyncio.shield(kept.answer)
        return unchanged(request.scope, answer) or answer

    async def _make(self, key: _Key, made: Callable[..., Any], *args: Any) -> Response:
        try:
            return await run_in_threadpool(encoded, made, *args)
        except BaseException:
            self._kept.pop(key, None)
            raise


def _key(scope: Scope) -> _Key:
    # The first, as Starlette's check of hosts takes it.
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return scope["path"], scope["query_string"], host


class SendAgain:
    """In front of hosts and routes: what `prepared` has found goes out, all else is made there."""

    def __init__(self, app: ASGIApp, prepared: Prepared) -> None:
        self._app = app
        self._prepared = prepared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["method"] == "GET"
        answer = self._prepared.found(scope) if asked else None
        await (answer or self._app)(scope, receive, send)
