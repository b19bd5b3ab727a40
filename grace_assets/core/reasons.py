"""What the judge's reason codes mean, in a sentence each."""

from __future__ import annotations

from grace_assets.core.wording import clean, spoken

REASONS = {
    # On a metric.
    "no_rule": "the catalogue does not know the metric",
    "window_open": "the window after the mission is still open",
    "no_samples_before": "there is no reading from before",
    "no_samples_after": "there is no reading from after",
    "few_samples_before": "there are too few readings from before",
    "few_samples_after": "there are too few readings from after",
    "low_coverage_before": "readings from before leave too large gaps",
    "low_coverage_after": "readings from after leave too large gaps",
    "no_healthy_level": "nothing says what is healthy: too few days to compare with, no target",
    "healthy_again": "it was healthy again, as far as readings can prove it",
    "better_not_healthy": "it got better, and was not yet healthy",
    "same_as_before": "a change of any size that matters is excluded",
    "worse_than_before": "it was worse than before",
    "was_healthy_before": "it was healthy before, and not after",
    "never_clearly_unhealthy": "it was not clearly in trouble before",
    "within_noise": "the change lies within what is usual noise",
    "recent_problem": "the problem was young: only its part of the window before was judged",
    "silence_read_as_zero": "minutes without a reading count as zero, as the catalogue says",
    "judged_by_means": "counts are compared by their means",
    "suspicious_change": "the change is larger than the catalogue holds plausible",
    "zero_before": "it was zero before, so there is no percentage",
    "source_failed": "the source could not be asked",
    # On a mission.
    "no_scored_metric": "the catalogue knows none of its metrics",
    "no_samples": "none of its metrics has readings enough",
    "critical_metric_worse": "a critical metric got worse",
    "trigger_metric_decides": "the metric that raised the alarm decides",
    "trigger_metric_not_judged": "the metric that raised the alarm could not be judged",
    "guardrail_worse": "another metric got worse meanwhile",
    "better_and_worse": "some metrics got better and some worse",
    "little_of_it_assessed": "only a small part of its metrics could be judged",
    "critical_metric_without_data": "a critical metric has too few readings",
    # On its credit.
    "overlapping_mission": "another mission of the domain overlaps",
    "left_alone_did_not_recover": "domains with the same problem that were left alone did not "
    "recover as well",
    "rarely_heals_by_itself": "such problems of the domain rarely pass by themselves",
    # On a later look.
    "same_problem_again": "the domain needed a mission for the same problem again",
    "repaired_again_since": "another repair came in between, so nobody can tell",
}


def reason(code: str) -> str:
    """The sentence of a code; one with a metric names it, an unknown one is shown as it is."""
    name, _, metric = code.partition(":")
    if name == "relapsed" and metric:
        return f"{spoken(metric)} showed the problem again"
    return REASONS.get(code) or clean(code.replace("_", " "), 80)
