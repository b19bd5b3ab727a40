"""Work in a process of its own that strace follows, kills, or gives errors to.

A worker has imported everything and forks for each job, so that a job costs no start of Python.
strace is Debian's `strace`; it needs the right to trace (Docker: `--cap-add SYS_PTRACE`).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import MappingProxyType
from typing import Any

LEAVES_NOTHING = {
    *("brk", "clock_gettime", "clock_nanosleep", "dup2", "futex", "getegid", "geteuid", "getgid"),
    *("getpid", "getrandom", "gettid", "getuid", "madvise", "mmap", "mprotect", "mremap", "munmap"),
    *("prctl", "restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "sched_getaffinity"),
    *("set_robust_list", "sysinfo", "uname"),
    *("fstat", "getdents64", "getpeername", "getsockname", "getsockopt", "ioctl", "lseek", "lstat"),
    *("newfstatat", "pread64", "read", "readlink", "stat"),
}
"""They touch memory or look at files: a kill before one leaves what a kill before the next other
call leaves."""
PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True)
class Job:
    """A function by name ("module:function") and its arguments, as JSON has them."""

    function: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a job ended: the signal that ended it or 0, its exit code, and what it printed."""

    signal: int
    code: int
    said: str


class Worker:
    """The near side of a worker process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, job: Job, strace: Sequence[str] | None = None) -> Ended:
        """Do a job in a fork, under `strace` where options of it are given."""
        with NamedTemporaryFile("r", prefix="grace-said-", errors="replace") as said:
            pid = self._ask({"job": [job.function, job.arguments], "said": said.name})
            status = self._ask("go") if strace is None else self._traced(pid, strace)
            if os.WIFSIGNALED(status):
                return Ended(os.WTERMSIG(status), 0, said.read())
            return Ended(0, os.WEXITSTATUS(status), said.read())

    def _traced(self, pid: int, options: Sequence[str]) -> int:
        command = ["strace", "-f", *options, "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            attached = tracer.stderr.readline()
            status = self._ask("go")
            rest = tracer.stderr.read()
        if "attached" not in attached:
            raise RuntimeError(f"strace may not trace here: {attached}{rest}".strip())
        return status

    def warm_up(self, job: Job) -> None:
        """Once without a fork: the imports of a first time are not part of it."""
        self._ask({"job": [job.function, job.arguments]})

    def _ask(self, what: object) -> int:
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the worker ended")
        return int(answer)


@contextmanager
def worker(env: Mapping[str, str] = MappingProxyType({})) -> Iterator[Worker]:
    """`env` is added to the environment."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "benchmarks.reliability.tracing"]
    root = Path(__file__).parents[2]
    # Leaving the block closes its standard input, at the end of which it ends.
    with subprocess.Popen(command, cwd=root, env=os.environ | env, **pipes) as process:
        yield Worker(process)


def write_calls(work: Worker, job: Job, log: Path) -> list[tuple[str, int]]:
    """The system calls of a job that leave a trace, by name and number among those of the name."""
    work.run(job, ["-o", str(log)])
    calls = re.findall(r"^\d+ +(\w+)\(", log.read_text("utf-8", "replace"), re.MULTILINE)
    counts = Counter(call for call in calls if call not in LEAVES_NOTHING)
    return [(call, n) for call, count in sorted(counts.items()) for n in range(1, count + 1)]


def inject(call: str, number: int, what: str) -> list[str]:
    """strace's options that do `what` at one call: it counts the calls of each name."""
    injection = f"inject={call}:{what}:when={number}"
    return ["-o", "/dev/null", "-e", f"trace={call}", "-e", injection]


def serve_jobs() -> None:
    """The far side of `Worker`: lines of JSON in, a number for each out."""
    # What jobs print goes elsewhere: the pipe is for the numbers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        asked = json.loads(line)
        module, _, name = asked["job"][0].partition(":")
        function, arguments = getattr(import_module(module), name), asked["job"][1]
        if "said" not in asked:
            with redirect_stderr(None):
                function(**arguments)
            print(0, file=answers)
            continue
        output = os.open(asked["said"], os.O_WRONLY | os.O_APPEND)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _do_when_told(reader, output, partial(function, **arguments))
        print(child, file=answers)
        sys.stdin.readline()
        os.write(writer, b".")
        status = os.waitpid(child, 0)[1]
        for descriptor in (reader, writer, output):
            os.close(descriptor)
        print(status, file=answers)


def _do_when_told(reader: int, output: int, function: Callable[[], object]) -> None:
    # Where only parents may trace (Yama), anybody may trace this one.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 1
    try:
        os.read(reader, 1)
        function()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve_jobs()
