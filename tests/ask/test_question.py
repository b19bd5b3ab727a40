"""Questions are read as meant, or refused with a reason; never as something else."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grace_assets.ask.names import Names
from grace_assets.ask.question import KINDS, NotUnderstood, Question, examples, understand
from grace_assets.ask.rules import VOCABULARY
from tests.ask.questions import ANSWERED, FIRST_DAY, MENDED, NAMES, REFUSED, TODAY

SLOTS = {field.name for field in fields(Question)} - {"kind", "period", "readings"}


def ask(text: str, names: Names = NAMES) -> Question | NotUnderstood:
    return understand(text, names, TODAY, FIRST_DAY)


def slots(question: Question) -> dict[str, object]:
    named = {slot: getattr(question, slot) for slot in SLOTS}
    return {slot: value for slot, value in named.items() if value not in (None, "")}


@pytest.mark.parametrize(("text", "kind", "dates", "expected"), ANSWERED, ids=lambda v: str(v)[:60])
def test_a_question_in_ordinary_words_is_read_with_all_its_slots(text, kind, dates, expected):
    question = ask(text)
    assert isinstance(question, Question), question
    assert question.kind == kind
    assert slots(question) == {"latest": False} | expected
    period = question.period
    start, end = f"{period.start}", f"{period.end}"
    assert dates in (f"{start}..{end}", start if start == end else None)
    assert period.unfinished == (period.end == TODAY)
    assert question.readings == ()


@pytest.mark.parametrize(("text", "kind", "expected", "reading"), MENDED, ids=lambda v: str(v)[:40])
def test_what_is_not_taken_literally_is_told(text, kind, expected, reading):
    question = ask(text)
    assert isinstance(question, Question), question
    assert (question.kind, slots(question)) == (kind, {"latest": False} | expected)
    assert question.readings == (reading,)


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_cannot_be_answered_is_refused_with_the_reason_and_with_what_can(text, reason):
    answer = ask(text)
    assert isinstance(answer, NotUnderstood), answer
    assert reason in answer.why
    assert len(answer.why) < 300
    assert answer.examples


def test_every_kind_has_a_question_and_no_question_another_kind():
    assert {kind for _, kind, _, _ in ANSWERED} == set(KINDS)


@pytest.mark.parametrize("names", [NAMES, Names(), Names(domains=("march", "what", "a–b\x00"))])
def test_every_question_that_is_offered_instead_can_be_answered(names):
    for text in examples(names):
        assert isinstance(ask(text, names), Question), text


def test_the_names_nearest_to_an_unknown_one_are_given():
    assert ask("mttr of paymentology").nearest == ("payments",)
    assert ask("mttr of error_ration").nearest[0] == "error_rate"


def test_a_period_says_how_it_was_worded_and_whether_it_was_chosen_for_the_asker():
    worded, chosen = ask("mttr in the last 7 days").period, ask("mttr").period
    assert (worded.words, worded.defaulted) == ("in the last 7 days", False)
    assert (chosen.words, chosen.defaulted) == ("the last 30 days", True)


def test_a_name_that_is_a_common_word_is_read_as_a_name_only_where_it_must_be():
    names = Names(domains=("march", "fix", "who"), metrics=("trends",))
    assert ask("what did you fix in march", names).domain is None
    assert ask("did the march fix work", names).domain == "march"
    assert ask("mttr of domain fix", names).domain == "fix"
    assert ask("mttr of “fix”", names).domain == "fix"
    assert isinstance(ask("who fixed it", names), NotUnderstood)


def test_names_that_are_told_apart_by_numbers_are_not_mistaken_for_each_other():
    names = Names(domains=("cluster-1", "cluster-2"))
    assert ask("cluster 2 mttr", names).domain == "cluster-2"
    assert isinstance(ask("cluster 3 mttr", names), NotUnderstood)
    assert isinstance(ask("clustr mttr", names), NotUnderstood)


@pytest.mark.parametrize(
    "text", ["payments-v2", "payments-us", "eu-payments", "payments-app", "shop athens 2"]
)
def test_a_longer_name_is_not_read_as_the_known_name_inside_it(text):
    assert isinstance(ask(f"mttr of {text}"), NotUnderstood)


def test_short_words_of_a_name_must_be_exact():
    names = Names(domains=("production-eu",))
    assert ask("prodution eu mttr", names).domain == "production-eu"
    assert isinstance(ask("production us mttr", names), NotUnderstood)


def test_a_name_of_two_things_is_asked_back_unless_the_question_says_which():
    names = Names(domains=("failover",), mission_types=("failover",))
    assert "may be a domain and a mission type" in ask("failover mttr", names).why
    assert ask("mttr of domain failover", names).domain == "failover"


def test_names_that_differ_only_in_spelling_are_told_apart_by_it():
    names = Names(domains=("Payments", "pay-ments"))
    assert ask("Payments mttr", names).domain == "Payments"
    assert ask("pay-ments mttr", names).domain == "pay-ments"
    assert "may be" in ask("PAYMENTS mttr", names).why


def test_a_name_in_any_script_or_of_signs_alone_can_be_asked_for():
    names = Names(domains=("支払い", "платежи", "→→"))
    assert ask("支払い mttr", names).domain == "支払い"
    assert ask("ПЛАТЕЖИ trends", names).domain == "платежи"
    assert ask("mttr of “→→”", names).domain == "→→"
    assert ask("mttr of →→", names).domain == "→→"
    assert "🛒" in ask("mttr of 🛒", names).why


def test_two_metrics_with_one_spoken_name_are_asked_back():
    names = Names(metrics=("latency_ms", "latency_seconds"))
    assert "latency_ms or latency_seconds" in ask("did latency improve", names).why


words = st.lists(
    st.one_of(
        st.sampled_from(sorted(VOCABULARY)),
        st.sampled_from(["payments", "paymets", "m001", "latency", "athens", "3", "2026-02-30"]),
        st.text(max_size=6),
    ),
    max_size=12,
).map(" ".join)


@given(st.one_of(st.text(max_size=600), words))
def test_no_text_raises_and_every_period_is_in_order_and_on_record(text):
    answer = ask(text)
    if isinstance(answer, Question):
        assert answer.kind in KINDS
        assert FIRST_DAY <= answer.period.start <= answer.period.end <= TODAY
    else:
        assert answer.why and answer.examples


@given(st.text(alphabet=st.characters(), max_size=80), st.text(min_size=1, max_size=40))
def test_no_name_raises_whatever_it_is_made_of(text, name):
    names = Names((name,), (name + "x",), {name: name * 2}, (name,))
    for question in (text, name, f"mttr of {name}", f'mttr of "{name}"'):
        answer = ask(question, names)
        assert isinstance(answer, Question | NotUnderstood)
