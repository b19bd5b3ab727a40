"""What the OpenAPI allows is answered as it says; `make api-fuzz` asks more often."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from grace_assets.api.examples import ANSWERS
from grace_assets.render.definitions import field_definitions, figures_page
from tests.api.test_reads import app_of
from tests.serving import serve
from tests.test_loop import Loop, missions

CASES = int(os.environ.get("API_FUZZ_CASES", "300"))
NAMES = {"domain_id", "start_date", "end_date", "period_days", "date", "answer", "kind", "label"}
"""Fields that say what their name says."""
CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    return app_of(Loop(tmp_path_factory.mktemp("lake"))).openapi()


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


def test_every_field_that_a_mission_needs_is_named(document):
    body = document["paths"]["/api/missions/events"]["post"]["requestBody"]["content"]
    one, many = body["application/json"]["schema"]["oneOf"]
    assert one == many["items"]
    assert set(one["required"]) == {
        *("mission_id", "domain_id", "started_at", "completed_at", "success")
    }


def test_every_figure_is_defined_by_the_page_of_definitions(document):
    schemas = document["components"]["schemas"]
    figures = ("DomainTrend", "AnalyticsStats", "MttrPoint", "EffectivenessPoint", "MissionCount")
    figures += ("OutcomeStats", "Answer", "Figure", "Mission", "FollowUp", "Verdict")
    for name in figures:
        undefined = {
            field for field, of in schemas[name]["properties"].items() if "description" not in of
        }
        assert undefined <= NAMES, name
    page = figures_page()
    for field, meaning in field_definitions().items():
        assert f"<code>{field}</code>" in page
        known = [s for s in schemas.values() if field.split(".")[-1] in s.get("properties", {})]
        assert known, f"{field} is no field of the API"
        assert meaning


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS, ids=[key[1] for key in ANSWERS])
def test_an_example_is_what_its_schema_allows(document, method, path, status):
    content = document["paths"][path][method]["responses"][status]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(content["example"])


def test_every_parameter_is_described(document):
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                said = parameter.get("description") or parameter["schema"].get("description")
                assert said or parameter["in"] == "path" or "enum" in str(parameter), path


def ask(operation, examples: int) -> None:
    @settings(
        max_examples=examples,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=st.one_of(operation.as_strategy()))
    def answers(case):
        case.call_and_validate(checks=CHECKS)

    answers()
