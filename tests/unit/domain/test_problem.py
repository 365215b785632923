"""A problem document says what is wrong, in the form that RFC 9457 gives."""

import json

import pytest

from eventbridge.domain.problem import BadRequest, Problem


def test_a_problem_names_type_title_status_and_detail() -> None:
    problem = Problem(401, "There is no token.")

    assert json.loads(problem.document()) == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "There is no token.",
    }


def test_a_bad_request_names_the_parameter() -> None:
    error = BadRequest("`last` must be a number.", "last")

    assert json.loads(error.problem.document())["parameter"] == "last"
    assert error.problem.status == 400


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 414, 431, 500, 503])
def test_every_status_we_answer_with_has_a_title(status: int) -> None:
    assert Problem(status, "").title != "Error"
