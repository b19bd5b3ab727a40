"""What the OpenAPI allows is answered as it says; `make api-fuzz` asks more often."""

import os

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.api.test_reads import app_of
from tests.serving import serve
from tests.test_loop import Loop, missions

CASES = int(os.environ.get("API_FUZZ_CASES", "300"))
CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)


def test_every_answer_is_one_that_the_openapi_describes(tmp_path):
    loop = Loop(tmp_path)
    loop.take(*missions()[:4])
    loop.run("2026-03-01", **{"grace/deliver": "never"})
    with serve(app_of(loop, generator=None)) as client:
        schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) >= 15
        each = max(CASES // len(operations), 1)
        for operation in operations:
            ask(operation, each)


def ask(operation, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=st.one_of(operation.as_strategy()))
    def answers(case):
        case.call_and_validate(checks=CHECKS)

    answers()
