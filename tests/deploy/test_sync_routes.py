"""Which routes API Gateway gets, and which it cannot have."""

from __future__ import annotations

import pytest

from streams.deploy.functions_list import Mode
from streams.step import METHODS, http
from tests.deploy.steps import listed, refusal, refusals, routes, step


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/", "/"),
        ("/todo", "/todo"),
        ("/todo/:id", "/todo/{id}"),
        ("/todo/{id}/tags/{tag}", "/todo/{id}/tags/{tag}"),
        ("/todo/{id:int}", "/todo/{id}"),
        ("/todo/{id:uuid}", "/todo/{id}"),
        ("/files/{name:path}", "/files/{name+}"),
        ("/{rest:path}", "/{rest+}"),
        ("/v1.0/my-things/a_b~c:d@e", "/v1.0/my-things/a_b~c:d@e"),
        ("/todo/", "/todo/"),
    ],
)
def test_a_path_of_fastapi_becomes_one_of_api_gateway(path: str, written: str):
    functions = listed(step("A", http("GET", path)))

    assert routes(functions["functions"]) == [f"GET {written}"]


def test_every_method_is_a_route_of_its_own():
    functions = listed(step("A", *(http(method, "/todo") for method in METHODS)))

    assert routes(functions["functions"]) == sorted(f"{method} /todo" for method in METHODS)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/files/{name:path}/raw", "takes the rest of a path, and so must be its end"),
        ("/file-{id}", "a parameter is everything between two slashes"),
        ("/{a}.{b}", "a parameter is everything between two slashes"),
        ("/{id", "a parameter is everything between two slashes"),
        ("/a b", "cannot be between two slashes"),
        ("/grüße", "cannot be between two slashes"),
        ("/a//b", "cannot be between two slashes"),
        ("/a?b=c", "cannot be between two slashes"),
        ("/${sls:stage}", "a parameter is everything between two slashes"),
        ("/a$b", "cannot be between two slashes"),
    ],
)
def test_a_path_that_api_gateway_cannot_have_is_refused_with_its_step(path: str, reason: str):
    message = refusal(step("A", http("GET", path)))

    assert message.startswith(f"GET {path}: ")
    assert reason in message


def test_everything_that_is_wrong_is_said_at_once():
    steps = [step("A", http("GET", "/a-{x}"), http("PUT", "/b c")), step("B", seconds=60)]

    assert len(refusals(*steps)) == 3


def test_two_paths_that_only_fastapi_tells_apart_are_one_route_of_one_function():
    functions = listed(
        step("Number", http("GET", "/todo/{id:int}")),
        step("Name", http("GET", "/todo/{name}")),
        step("Other", http("PUT", "/todo/{id}")),
    )

    assert routes(functions["functions"]) == ["PUT /todo/{id}", "GET /todo/{name}"]


def test_two_paths_that_only_fastapi_tells_apart_cannot_be_two_functions():
    message = refusal(
        step("Number", http("GET", "/todo/{id:int}")),
        step("Name", http("GET", "/todo/{name}")),
        mode="per-step",
    )

    assert message.startswith("GET /todo/{name} is for API Gateway the same as GET /todo/{id} in ")
    assert message.endswith("choose another path, or use --router")


@pytest.mark.parametrize(
    ("first", "second"), [("/todo/{id}", "/todo/new"), ("/{rest:path}", "/todo/{id}"), ("/{a}/{b}", "/{a}/c")]
)
def test_a_step_that_another_one_hides_locally_cannot_be_a_function_that_it_does_not_hide(
    first: str, second: str
):
    hiding, hidden = step("Any", http("GET", first)), step("New", http("GET", second))

    assert "rename this file, so that it comes first" in refusal(hiding, hidden, mode="per-step")
    assert listed(hidden, hiding, mode="per-step").keys() == {"any", "new"}
    assert listed(hiding, hidden).keys() == {"functions"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/todo/{id:int}", "/todo/new"),
        ("/todo/{id}", "/todo/{id}/tags"),
        ("/todo", "/todo/{id}"),
        ("/files/{name:path}", "/files"),
    ],
)
def test_steps_that_share_no_request_are_functions_in_any_order(first: str, second: str):
    one, other = step("One", http("GET", first)), step("Other", http("GET", second))

    assert len(listed(one, other, mode="per-step")) == len(listed(other, one, mode="per-step")) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [("/todo_list", "/todolist"), ("/Todo", "/todo"), ("/todo/", "/todo"), ("/f/{id:path}", "/f/{id}")],
)
@pytest.mark.parametrize("mode", ["router", "per-step"])
def test_two_routes_of_which_osls_would_leave_one_out_are_refused(first: str, second: str, mode: Mode):
    steps = step("One", http("GET", second)), step("Other", http("GET", first))

    assert "are the same for osls" in refusal(*steps, mode=mode)


def test_routes_of_different_methods_are_not_the_same():
    functions = listed(step("One", http("GET", "/todo/{id}")), step("Other", http("PUT", "/todo/{name}")))

    assert len(routes(functions["functions"])) == 2
