"""The exam asks what it says it asks: its peers are theirs, its limits bite, its data is told."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from benchmarks import judge_exam, judge_real, peers
from benchmarks.judge_exam import TRUTHS, Result, examine, limits, same_verdicts
from tests.core.worlds import HEALTHY, MINUTES


def truth(name: str):
    return next(t for t in TRUTHS if t.name == name)


def test_the_judge_keeps_its_limits_on_a_small_exam():
    wanted = {
        "noise tripped the alarm",
        "… on a daily cycle",
        "useless on a fault",
        "seasonal drop",
        "full fix",
        "40 % fixed",
        "fault made 25 % worse",
        "healthy made 25 % worse",
    }
    results = [
        examine(t, phi, 300, 11) for t in TRUTHS if t.name in wanted for phi in judge_exam.PHIS
    ]
    kept = {text: fine for text, _, fine in limits(results, same_verdicts(60, 11))}
    # So few missions measure a share of 1 % or 30 % too roughly; `make judge-exam` has enough.
    close = [text for text in kept if "≤ 1%" in text or text.startswith("40 %")]
    assert [text for text, fine in kept.items() if not fine and text not in close] == []
    assert len(kept) == 12


def test_a_limit_that_is_missed_is_said_to_be():
    bad = [
        Result(t.name, phi, {"effective": 0.5, "worse": 0.2}, {})
        for t in TRUTHS
        for phi in judge_exam.PHIS
    ]
    assert not any(fine for text, _, fine in limits(bad, {"x": False}) if "fix" not in text)


def test_the_peers_decide_as_their_authors_wrote():
    rng = np.random.default_rng(3)
    pre, post = rng.normal(10, 1, (40, 30)), rng.normal(9.6, 1, (40, 30))
    ours = peers.mann_whitney(pre, post)
    theirs = [
        mannwhitneyu(b, a, alternative="less").pvalue < 0.05 for a, b in zip(pre, post, strict=True)
    ]
    assert ours.tolist() == theirs
    assert 0 < ours.mean() < 1
    shifted = peers.kayenta(pre, pre - 5)
    assert shifted.all()
    assert not peers.kayenta(pre, pre).any()
    assert not peers.kayenta(pre, pre + 5).any()
    assert peers.single_reading(np.array([2.0, 2.0]), np.array([[1.0], [3.0]])).tolist() == [1, 0]


@pytest.mark.parametrize("name", [t.name for t in TRUTHS])
def test_every_truth_makes_readings_of_its_kind_and_the_same_for_a_seed(name):
    one, again = (truth(name).make(6, 0.8, 5) for _ in range(2))
    assert one.shape == (6, 15, len(MINUTES))
    assert np.array_equal(one, again, equal_nan=True)
    quiet = one[:, :-1][np.isfinite(one[:, :-1])]
    if not name.startswith(("counts", "from zero")) and "seasonal" not in name:
        assert abs(np.median(quiet) / HEALTHY - 1) < 0.2


def test_a_real_set_is_read_with_its_conflicts_and_judged(tmp_path, capsys, monkeypatch):
    lines = ["source,domain_id,metric,timestamp,value"]
    lines += [
        f"domain_health,shop,latency,2026-03-{day:02}T{minute // 60:02}:{minute % 60:02}:00Z,"
        f"{5 + minute % 3}"
        for day in range(1, 17)
        for minute in range(0, 1440, 5)
    ]
    lines.append("domain_health,shop,latency,2026-03-01T00:00:00Z,7")
    (tmp_path / "kpi_samples.csv").write_text("\n".join(lines), encoding="utf-8")
    mission = (
        '{"mission_id":"m","domain_id":"shop","started_at":"2026-03-16T10:00:00Z",'
        '"completed_at":"2026-03-16T11:00:00Z","success":true}'
    )
    (tmp_path / "missions.jsonl").write_text(mission + "\n{}\n", encoding="utf-8")
    assert judge_real.read_samples(tmp_path / "kpi_samples.csv")["value"][0].as_py() == 7
    monkeypatch.setattr("sys.argv", ["judge_real", str(tmp_path)])
    judge_real.main()
    said = capsys.readouterr()
    assert "0 of " in said.out
    assert "missions.jsonl:2" in said.err
