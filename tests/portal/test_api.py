"""The portal's own description of its routes, and requests made from it: what is described happens, nothing crashes."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from chestgan_core.store.store import Store
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal
from tests.portal.reading_studies import publish

SECRET = "0123456789abcdef-of-tests"
# What programs ask: JSON. Pages are attacked in test_security.py, where their forms have tokens.
MACHINES = ("/health", "/ready", "/api/", "/notify")


@pytest.fixture
def settings(database_address: str) -> Settings:
    return Settings(
        database=database_address, own_account=False, hosts=("testserver", "localhost"), webhook_secret=SECRET
    )


@pytest.fixture
def operations(portal: Portal, store: Store) -> list[Any]:
    publish(store)
    description = schemathesis.openapi.from_asgi("/openapi.json", portal.app)
    return [one.ok() for one in description.get_all_operations() if one.ok() is not None]


def test_what_programs_ask_is_described(operations: list[Any]) -> None:
    described = {f"{one.method.upper()} {one.path}" for one in operations if one.path.startswith(MACHINES)}
    assert described >= {"GET /health", "GET /ready", "GET /api/sets", "POST /notify"}


def test_no_request_of_a_program_fails_here_and_every_answer_is_as_described(
    portal: Portal, operations: list[Any]
) -> None:
    """Some hundred requests that fit the description, and as many that nearly do."""
    for operation in operations:
        if operation.path.startswith(MACHINES):
            _attack(operation, 60, as_described=True)


def test_no_request_for_a_page_fails_here(portal: Portal, operations: list[Any]) -> None:
    """Parameters of paths, queries and forms of any kind, from nobody in particular."""
    for operation in operations:
        if not operation.path.startswith(MACHINES):
            _attack(operation, 6, as_described=False)


def _attack(operation: Any, examples: int, *, as_described: bool) -> None:
    checks = [content_type_conformance, response_headers_conformance, response_schema_conformance]

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def attack(case: Any) -> None:
        answer = case.call()
        # 503: the portal says that a part of it is down, which none is here.
        assert answer.status_code < 500, f"{operation.method} {operation.path}: {answer.text[:500]}"
        if as_described and answer.status_code < 400:
            case.validate_response(answer, checks=checks)

    attack()
