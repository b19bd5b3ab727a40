"""What Grace says: the frame follows verdict and attribution, the figures come from rows."""

import re

import pyarrow as pa
import pytest

from grace_assets.core.narrative import MAX_ACTIONS, QUOTE_LIMIT, narrate
from grace_assets.core.schemas import VERDICTS
from tests.rows import event, reading, table, told_of


def told(mission=None, readings=None, verdict="effective", attribution="coincident") -> str:
    missions = table("mission_events", [mission or event()])
    summary = pa.table(
        {"mission_id": missions["mission_id"], "verdict": [verdict], "attribution": [attribution]}
    )
    rows = [reading()] if readings is None else readings
    (text,) = narrate(missions, summary, told_of(missions, table("mission_telemetry", rows)))
    return text


def test_a_mission_is_told_in_the_first_person_one_claim_a_sentence():
    assert told() == (
        "I noticed latency exceeded 500 ms, at 520 ms. I scaled workers from 4 to 8. "
        "Latency fell from 520 ms to 280 ms (46 % better). "
        "The payments domain recovered after I acted."
    )


DOUBT = "Something else happened at the same time, so I cannot tell whether it was me."
REST = "The payments domain"


@pytest.mark.parametrize(
    ("verdict", "attribution", "end"),
    [
        (
            "effective",
            "controlled",
            "I restored the payments domain: others with the same problem, left",
        ),
        ("effective", "supported", "I restored the payments domain: such problems rarely heal"),
        ("effective", "coincident", f"{REST} recovered after I acted."),
        ("effective", "confounded", f"{REST} recovered. {DOUBT}"),
        ("effective", "unknown", f"{REST} recovered after I acted; I do not know whether it was"),
        ("partial", "controlled", "I partly restored the payments domain: others with the same"),
        ("partial", "supported", "I partly restored the payments domain: such problems rarely"),
        ("partial", "coincident", f"{REST} got better after I acted, but was not fully healthy."),
        ("partial", "confounded", f"{REST} got better, but was not fully healthy. {DOUBT}"),
        ("partial", "unknown", f"{REST} got better after I acted, but was not fully healthy; I"),
        ("worse", "controlled", "I made the payments domain worse: what I left alone did not"),
        ("worse", "supported", f"{REST} got worse after I acted."),
        ("worse", "coincident", f"{REST} got worse after I acted."),
        ("worse", "confounded", f"{REST} got worse. {DOUBT}"),
        ("worse", "unknown", f"{REST} got worse after I acted; I do not know whether it was me."),
        ("no_effect", "coincident", "I saw no measurable difference."),
        ("no_effect", "confounded", "so it may have hidden what I did."),
        ("inconclusive", "unknown", "too uncertain to tell whether it helped."),
        ("no_sustained_problem", "unknown", "so I claim no credit."),
        ("pending", "unknown", "It was too early to tell whether it helped."),
        ("insufficient_data", "unknown", "I had too few readings to tell whether it helped."),
        ("not_applicable", "unknown", "I had no metric that can be judged, so I claim no effect."),
    ],
)
def test_the_last_sentence_follows_verdict_and_attribution(verdict, attribution, end):
    assert end in told(verdict=verdict, attribution=attribution)


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("attribution", ["coincident", "confounded", "unknown"])
@pytest.mark.parametrize("success", [True, False])
def test_without_evidence_that_it_was_her_she_never_says_that_she_restored_it(
    verdict, attribution, success
):
    assert "restored" not in told(event(success=success), None, verdict, attribution)


@pytest.mark.parametrize("verdict", ["effective", "partial"])
@pytest.mark.parametrize("attribution", ["controlled", "supported", "coincident", "unknown"])
def test_a_mission_that_failed_takes_no_credit_for_a_recovery(verdict, attribution):
    text = told(event(success=False, error="timeout after 30 s."), None, verdict, attribution)
    assert "I did not complete the repair: “timeout after 30 s.”." in text
    assert "all the same" in text
    assert "restored" not in text


def test_a_failure_without_an_error_says_so():
    assert "I did not complete the repair; no error was recorded." in told(event(success=False))


@pytest.mark.parametrize(
    ("trigger", "start"),
    [
        (None, "I took up “Slow checkout”."),
        ({}, "I took up “Slow checkout”."),
        ({"metric": "", "description": " "}, "I took up “Slow checkout”."),
        ({"metric": "latency_ms"}, "I noticed a problem with latency."),
        ({"metric": "latency_ms", "observed": 520.0}, "I noticed latency at 520 ms."),
        ({"metric": "latency_ms", "threshold": 500.0}, "I noticed latency exceeded 500 ms."),
        (
            {"metric": "uptime", "threshold": 0.99},
            "I noticed uptime crossed its threshold of 0.99.",
        ),
        (
            {"metric": "uptime", "observed": 0.91, "threshold": 0.99},
            "I noticed uptime fell below 0.99, at 0.91.",
        ),
        (
            {"metric": "latency_ms", "observed": 500.0, "threshold": 500.0},
            "I noticed latency reached 500 ms.",
        ),
        ({"description": "queries piled up"}, "I noticed queries piled up."),
        ({"description": "The site is down."}, "The alert said: “The site is down”."),
        (
            {"metric": "uptime", "observed": 0.0, "description": "down (HTTP 0)"},
            "I noticed uptime at 0. The alert said: “down (HTTP 0)”.",
        ),
    ],
)
def test_whatever_the_trigger_holds_reads_naturally(trigger, start):
    assert told(event(trigger=trigger, title="Slow checkout")).startswith(start)


def test_a_mission_of_which_nothing_is_known_still_makes_sentences():
    bare = event(trigger=None, actions=[], title=None)
    assert told(bare, [], "insufficient_data", "unknown") == (
        "I worked on the payments domain. I recorded no action. "
        "I had no readings to tell whether it helped."
    )


@pytest.mark.parametrize(
    ("actions", "sentences"),
    [
        ([], "I recorded no action."),
        (["", "  ", "..."], "I recorded no action."),
        (["I restarted it"], "I restarted it."),
        (["restarted the gateway."], "I restarted the gateway."),
        (["Rebuilt the index", "ran vacuum"], "I rebuilt the index. I ran vacuum."),
        (["kubectl rollout restart"], "I noted: “kubectl rollout restart”."),
        (["restarted\nthe\x1b[31m gateway\u202e"], "I restarted the [31m gateway."),
    ],
)
def test_actions_become_sentences(actions, sentences):
    text = told(event(actions=actions, trigger=None, title="T"))
    assert text.startswith(f"I took up “T”. {sentences} Latency")


def test_many_and_long_actions_are_cut_and_counted():
    text = told(event(actions=["scaled " + "very " * 1_000] + ["drained a node"] * 10))
    assert text.count("I drained a node.") == MAX_ACTIONS - 1
    assert "I took 7 more actions." in text
    assert "very…" in text
    assert len(text) < QUOTE_LIMIT + 500


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"improvement_percent": -46.15}, "Latency fell from 520 ms to 280 ms (46 % worse)."),
        (
            {"pre": 0.0, "post": 12.0, "improvement_percent": None, "improved": False},
            "Latency rose from 0 ms to 12 ms (worse).",
        ),
        (
            {"pre": 12.0, "post": 0.0, "improvement_percent": 100.0},
            "Latency fell from 12 ms to 0 ms (100 % better).",
        ),
        ({"improvement_percent": None, "improved": None}, "fell from 520 ms to 280 ms."),
        ({"improvement_percent": 0.0, "improved": False}, "fell from 520 ms to 280 ms."),
        ({"post": 520.0, "improvement_percent": 0.0}, "Latency stayed at 520 ms."),
        ({"post": None, "verdict": "insufficient_data"}, "I had no reading from after."),
        ({"pre": None, "verdict": "insufficient_data"}, "I had no reading from before."),
        ({"verdict": "partial"}, "(46 % better, healthy is 275 ms)."),
        ({"verdict": "no_effect"}, "(46 % better, too little to count)."),
        ({"verdict": "inconclusive"}, "(46 % better, too uncertain to count)."),
        (
            {"unit": "ratio", "pre": 0.042, "post": 0.0041},
            "Latency fell from 4.2 % to 0.41 % (46 % better).",
        ),
        ({"pre": -5.0, "post": -1.5, "unit": "°C"}, "Latency rose from −5 °C to −1.5 °C"),
        (
            {"pre": 290.0, "problem_level": 520.0, "improvement_percent": 3.4},
            "Latency was 520 ms while the problem lasted, then fell to 280 ms.",
        ),
        ({"problem_level": 530.0}, "Latency fell from 520 ms to 280 ms (46 % better)."),
    ],
)
def test_a_metric_reads_as_it_was_measured(fields, sentence):
    assert sentence in told(readings=[reading(**fields)])


def test_while_the_window_is_open_no_reading_from_after_is_told():
    text = told(verdict="pending", attribution="unknown")
    assert "Latency was 520 ms before I acted." in text
    assert "280" not in text


def test_the_triggers_metric_comes_first_then_what_got_worse_and_the_rest_is_counted():
    names = {"a": "no_effect", "b": "worse", "latency_ms": "no_effect", "c": "effective"}
    rows = [reading(metric=m, unit=None, verdict=v) for m, v in names.items()]
    rows += [reading(metric="d", verdict="inconclusive")]
    text = told(readings=rows)
    assert re.findall(r"(\w+) fell from", text) == ["Latency", "B", "C"]
    assert "I also measured 2 other metrics." in text


def test_metrics_that_are_only_counted_still_say_that_they_got_worse():
    rows = [reading(metric=name, verdict="worse") for name in ("latency_ms", "a", "b", "c")]
    assert "I also measured 1 other metric, 1 of them worse." in told(readings=rows)


def test_one_source_speaks_for_a_metric_and_a_complete_one_before_an_earlier_half():
    rows = [
        reading(source="service_mesh", pre=500.0),
        reading(source="domain_health", pre=510.0),
        reading(source="rag_kpis", post=None),
    ]
    assert told(readings=rows).count("Latency") == 1
    assert "Latency fell from 510 ms" in told(readings=rows)


def test_narratives_keep_the_order_of_missions_and_their_own_readings():
    missions = table("mission_events", [event(f"m{i}") for i in (2, 0, 1)])
    summary = pa.table({"verdict": ["effective"] * 3, "attribution": ["coincident"] * 3})
    rows = [reading(f"m{i}", pre=100.0 + i) for i in (0, 1, 2, 9)]
    texts = narrate(missions, summary, told_of(missions, table("mission_telemetry", rows)))
    assert [re.search(r"from (10\d)", text)[1] for text in texts] == ["102", "100", "101"]


def test_no_missions_make_no_narratives():
    nothing = pa.table(
        {"verdict": pa.array([], pa.string()), "attribution": pa.array([], pa.string())}
    )
    missions = table("mission_events", [])
    assert narrate(missions, nothing, told_of(missions, table("mission_telemetry", []))) == []
