"""A few of the kill points that `make kill-delivery` sweeps: whatever is killed is made up for."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.kill_delivery import sweep
from benchmarks.reliability.part import Part
from tests.servers import unavailable


@pytest.fixture(autouse=True)
def strace() -> None:
    if shutil.which("strace") is None:
        unavailable("strace")


def test_a_delivery_killed_at_any_system_call_is_made_up_for():
    tally = sweep(Part(of=100))
    # A run may make fewer calls than the one that was counted.
    assert tally.points >= 15
    assert (tally.lost, tally.unflagged, tally.unreached) == ([], [], 0)
    assert tally.slowest < 5


def test_a_delivery_killed_before_it_hears_an_answer_repeats_itself_only_with_a_mark():
    tally = sweep(calls=("recvfrom",))
    assert tally.points >= 20
    assert (tally.lost, tally.unflagged) == ([], [])
    assert tally.held, "what is left to a person was among them"
    assert tally.flagged, "a kill after the message was taken was among them"
