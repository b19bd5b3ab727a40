"""`make fuzz`: bytes that look for ways through the line parser and the escapers, by coverage.

    python -m benchmarks.reliability.fuzz lines -max_total_time=600    # options are libFuzzer's
    python -m benchmarks.reliability.fuzz escapers -runs=5000

Atheris, Google's fuzzer for Python, keeps the inputs that reach new branches of ours. Whatever it
finds ends the process with a traceback and the input in a file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp

import atheris

from benchmarks.reliability.sending import mission

with atheris.instrument_imports(include=["grace_assets"]):
    from benchmarks.reliability import fuzzed

TARGETS: dict[str, Callable[[bytes], None]] = {
    "lines": fuzzed.line,
    "escapers": lambda data: fuzzed.text(data.decode("utf-8", "replace")),
}
WHOLE = json.dumps(mission("m-1", 1, fuzzed.RECEIVED), indent=1)
SEEDS = {
    "lines": (WHOLE, f"[{WHOLE},{WHOLE}]", WHOLE.replace("+00:00", "Z")),
    "escapers": (
        "<!channel> <https://a.example|b> &amp; *bold* _i_ ~s~ `c`",
        "![i](http://a.example) [l](javascript:1) | a | b |\n---\n<b onclick=x>&lt;",
        "1. a\n- b\n+ c\n# d\n> e\n    f\n***\n===\nwww.a.example a@b.example #1 \\",
        '=cmd|"/c calc"!A1\n"@SUM(1)\t-1+1',
        "s\r\nBcc: x@y.example\r\n\r\n\u202e\u2028=?utf-8?q?=0D=0A?=",
    ),
}
"""What the fuzzer begins with, and changes."""


def main(arguments: Sequence[str]) -> None:
    name, *options = arguments
    # libFuzzer ends the process itself: a folder of a block would stay all the same.
    corpus = Path(mkdtemp(prefix="grace-fuzz-"))
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_text(seed, encoding="utf-8", newline="")
    atheris.Setup([sys.argv[0], *options, "-len_control=0", str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
