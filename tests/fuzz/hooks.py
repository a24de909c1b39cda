"""Checks of what the service promises beyond what schemathesis can know from the description."""

import itertools
import os
import re

import schemathesis

NUMBERS = itertools.count(1)


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Lets the requests of a scenario get through, where they are sound.

    A key that was used before is answered as before, though what it made may be gone by now, which
    is right and looks wrong; and nobody guesses the tag of a state, while `*` names any.
    """
    spare_own_key(case)
    if case.meta is None or not case.meta.generation.mode.is_positive or not case.headers:
        return
    if key := case.headers.get("Idempotency-Key"):
        case.headers["Idempotency-Key"] = f"{key[:240]}-{next(NUMBERS)}"
    if "If-Match" in case.headers and next(NUMBERS) % 2:
        case.headers["If-Match"] = "*"


def spare_own_key(case):
    """Nobody is to revoke the key that all of this is asked with, which is the first."""
    parameters = case.path_parameters or {}
    if case.operation.label == "DELETE /v1/keys/{id}" and str(parameters.get("id")).lstrip("+0") == "1":
        parameters["id"] = 999_999


@schemathesis.hook
def after_call(ctx, case, response):
    """Tells fuzz.py what was asked and how it was answered."""
    if path := os.environ.get("FUZZ_ANSWERS"):
        with open(path, "a") as answers:
            print(case.operation.label, response.status_code, file=answers)


# How the service words a refusal for a bound that the description holds (src/http/schema.rs and
# src/http/contract.rs). What no schema can say, as "there is no such agent", is worded otherwise.
BOUND = re.compile(
    r"must (be|have|match|not be) |is required$|is not a known (field|parameter)$"
    r"|is given more than once$|is not UTF-8$"
)


@schemathesis.check
def bounds_are_published(ctx, response, case):
    """A request that keeps to the description is never refused for its form.

    In place of `positive_data_acceptance`, which knows statuses only: references to what is not
    there, states that are gone and NUL characters are refused too, and rightly so.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    assert response.status_code not in (400, 405, 413, 415), "a sound request was refused"
    if "None" in map(str, (case.path_parameters or {}).values()):
        return  # a null of an answer, as a roster's model_id, that was taken for an id
    if response.status_code == 422:
        errors = response.json().get("errors", [])
        assert errors, "a refusal without its reasons"
        bounds = [error for error in errors if BOUND.search(error["detail"])]
        assert not bounds, f"a bound that the description does not hold: {bounds}"


@schemathesis.check
def problems_as_promised(ctx, response, case):
    """Every answer has an id, and every failure is the one kind of problem."""
    request_id = response.headers.get("x-request-id")
    assert request_id, "an answer without X-Request-Id"
    if response.status_code < 400:
        return
    kind = response.headers.get("content-type")
    assert kind == ["application/problem+json"], f"a failure as {kind}"
    problem = response.json()
    assert problem["status"] == response.status_code, "another status than the answer's"
    assert [problem["request_id"]] == request_id, "another id than the answer's"
    if response.status_code == 405:
        assert response.headers.get("allow"), "405 without Allow"
    if response.status_code == 503:
        assert response.headers.get("retry-after"), "503 without Retry-After"
