"""Lines judged together are judged as each of them alone is, and packed without loss."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from grace_assets.core.moments import LocalDates
from grace_assets.lake.arrivals import judge
from grace_assets.lake.blocks import Line, unpack
from tests.conftest import encode, event

NOW, ZONE = datetime(2026, 3, 5, 12, tzinfo=UTC), ZoneInfo("Europe/Berlin")
KINDS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda name, day, domain: encode(
            event(name, domain_id=domain, completed_at=f"2026-03-{day}T23:30:00Z")
        ),
        st.text(max_size=5),
        st.integers(1, 9).map("{:02}".format),
        st.text("ab./", max_size=2),
    ),
)


@given(st.lists(KINDS, max_size=20))
def test_each_line_is_judged_by_itself(raws):
    together = judge("f", [Line(n, raw) for n, raw in enumerate(raws, 1)], NOW, LocalDates(ZONE))
    alone = [judge("f", [Line(n, raw)], NOW, LocalDates(ZONE)) for n, raw in enumerate(raws, 1)]
    assert together.rejected == [bad for one in alone for bad in one.rejected]
    assert [a[:5] for a in together.arrivals] == [a[:5] for one in alone for a in one.arrivals]
    blocks = [unpack(block) for block in together.blocks]
    kept = [unpack(block)[0] for one in alone for block in one.blocks]
    assert [blocks[block][place] for *_, block, place in together.arrivals] == kept


def test_what_lies_on_one_day_in_one_domain_lies_together():
    many = [
        encode(
            event(f"m{n}", domain_id=f"d{n % 7}", completed_at=f"2026-03-0{1 + n % 3}T10:30:00Z")
        )
        for n in range(7 * 3 * 200)
    ]
    judged = judge("f", [Line(n, raw) for n, raw in enumerate(many, 1)], NOW, LocalDates(ZONE))
    assert len(judged.blocks) > 7
    blocks = [unpack(block) for block in judged.blocks]
    assert [blocks[block][place].raw for *_, block, place in judged.arrivals] == many
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        of_day = {block for _, its, *_, block, _ in judged.arrivals if its == day}
        assert len(of_day) <= len(judged.blocks) // 3 + 2


def test_a_day_outside_the_calendar_is_a_broken_rule():
    raw = encode(event(started_at="0001-01-01T00:00:00Z", completed_at="0001-01-01T00:00:00Z"))
    (bad,) = judge("f", [Line(1, raw)], NOW, LocalDates(ZoneInfo("America/New_York"))).rejected
    assert (bad.field, bad.reason) == ("completed_at", "is outside the years 1 to 9999")
