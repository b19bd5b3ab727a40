"""`POST /api/ask` on a real server: strict in what it takes, typed in what it answers."""

import json

import pytest

from grace_assets.api.ask import Answer, Unknown
from tests.api.test_reads import app_of
from tests.serving import serve
from tests.test_loop import DAYS, Loop

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(days_made):
    with serve(app_of(Loop(days_made))) as client:
        yield client


def ask(client, question: str) -> dict:
    answer = client.post("/api/ask", json={"question": question})
    assert answer.status_code == 200
    return answer.json()


def test_a_question_is_answered_as_typed(client):
    answer = ask(client, "Did mission pay-0-8 work?")
    Answer.model_validate(answer)
    assert answer["kind"] == "did_it_work"
    assert answer["answer"].startswith("Yes. Latency improved")
    assert answer["window"] == {"from": DAYS[0], "to": DAYS[0]}
    assert answer["sources"] == ["pay-0-8"]
    assert answer["interval"][0] <= answer["value"] <= answer["interval"][1]


def test_the_answer_is_the_figure_of_the_analytics(client):
    days = f"period_days=6&end_date={DAYS[-1]}"
    trend = client.get(f"/api/analytics/domain-trends?domain_id=payments&{days}").json()
    answer = ask(client, f"mttr of payments from {DAYS[0]} to {DAYS[-1]}")
    assert answer["value"] == trend["mttr_seconds"]
    figures = {figure["label"]: figure["value"] for figure in answer["figures"]}
    assert figures["mttr_seconds_p90"] == trend["mttr_p90_seconds"]


def test_what_cannot_be_answered_is_an_answer_too(client):
    answer = ask(client, "Why did payments break?")
    Unknown.model_validate(answer)
    assert set(answer) >= {"answer", "kind", "why"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"question": "mttr", "question": "trends"}', 422),
        (b'{"question": 5}', 422),
        (b'{"question": ""}', 422),
        (b"{}", 422),
        (b'{"question": "mttr", "model": "x"}', 422),
        (b'["mttr"]', 422),
        (b'[{"question": "mttr"}]', 422),
        (b'{"question": "\\ud800"}', 422),
        (b'{"question": "mttr"', 400),
        (b'{"question": "\xff"}', 400),
        (json.dumps({"question": "x" * 501}).encode(), 422),
        (json.dumps({"question": "x" * 2**16}).encode(), 413),
    ],
)
def test_anything_else_is_refused_with_a_problem(client, body, status):
    answer = client.post("/api/ask", content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_content_type_is_refused(client):
    assert client.post("/api/ask", content=b"question=mttr").status_code == 415


def test_reading_needs_the_scope_read_and_no_other(tmp_path):
    loop = Loop(tmp_path)
    env = {"GRACE_API_TOKENS": "read:reader ingest:sender"}
    with serve(app_of(loop, env)) as client:
        for token, status in (("reader", 200), ("sender", 403), ("other", 401)):
            bearer = {"authorization": f"Bearer {token}"}
            asked = client.post("/api/ask", json={"question": "mttr"}, headers=bearer)
            assert asked.status_code == status
