"""One notification by Apprise, in a process of its own: `python -m … SECONDS`, a request on stdin.

The request is JSON with `url`, `title` and `body`; exit code 0 says that the service took it.
Apprise bounds neither the time of an answer nor its size, so the system does. Its output goes
nowhere: what Apprise says of a sending quotes URLs, paths and answers.
"""

from __future__ import annotations

import json
import resource
import signal
import sys

from grace_assets.notify.apprise_urls import service

MEMORY_BYTES = 2**29
"""An answer that unpacks to more ends it."""


def main() -> int:
    """Sends it; the exit code."""
    # Also where whoever started it is gone.
    signal.alarm(int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    import apprise

    request = json.load(sys.stdin)
    target = service(request["url"])
    if target is None:
        return 1
    everybody = apprise.Apprise()
    everybody.add(target)
    plain = apprise.NotifyFormat.TEXT
    taken = everybody.notify(request["body"], request["title"], body_format=plain)
    return 0 if taken else 1


if __name__ == "__main__":
    sys.exit(main())
