"""What functions there are, and what each of them gets."""

from __future__ import annotations

import json

import pytest

from streams.deploy.functions_list import Mode, differences, functions_list, mode_of
from streams.discovery import discover
from streams.errors import DefinitionRefused
from streams.step import http
from tests.deploy.steps import application, listed, refusal, routes, step
from tests.dev.commands import REPOSITORY

CREATE = step("CreateTodo", http("POST", "/todo"), seconds=4, memory_mb=256)
LIST = step("ListTodos", http("GET", "/todos"), http("HEAD", "/todos"), seconds=9.2, memory_mb=1024)


def test_one_function_runs_all_steps_and_has_what_the_neediest_of_them_asks_for():
    assert listed(CREATE, LIST) == {
        "functions": {
            "handler": "streams.faas.aws_lambda.handler",
            "environment": {"STREAMS_FOLDER": "functions"},
            "events": [{"httpApi": "POST /todo"}, {"httpApi": "GET /todos"}, {"httpApi": "HEAD /todos"}],
            "memorySize": 1024,
            "timeout": 12,
            "snapStart": "${strToBool(${param:snapStart, false})}",
        }
    }


def test_a_function_of_its_own_has_what_its_step_asks_for():
    functions = listed(CREATE, LIST, mode="per-step")

    create, each = functions["create-todo"], functions["list-todos"]
    assert create["environment"] == {"STREAMS_FOLDER": "functions", "STREAMS_STEP": "CreateTodo"}
    assert (create["memorySize"], create["timeout"], routes(create)) == (256, 6, ["POST /todo"])
    assert (each["memorySize"], each["timeout"], routes(each)) == (1024, 12, ["GET /todos", "HEAD /todos"])


@pytest.mark.parametrize("mode", ["router", "per-step"])
def test_a_step_that_asks_for_nothing_gets_512_mb_and_as_long_as_api_gateway_waits(mode: Mode):
    (function,) = listed(step("A"), mode=mode).values()

    assert (function["memorySize"], function["timeout"]) == (512, 29)


@pytest.mark.parametrize(("seconds", "timeout"), [(0.1, 3), (1, 3), (4.5, 7), (27, 29)])
def test_a_function_has_time_left_when_that_of_its_step_is_over(seconds: float, timeout: int):
    (function,) = listed(step("A", seconds=seconds)).values()

    assert function["timeout"] == timeout


@pytest.mark.parametrize("mode", ["router", "per-step"])
def test_a_step_that_api_gateway_would_not_wait_for_is_refused(mode: Mode):
    assert refusal(step("Report", seconds=28.5), mode=mode) == (
        "step 'Report' may take 28.5 s, and API Gateway gives up after 30 s; set timeout_seconds to 27 or "
        "less, or run the steps in a container"
    )


def test_the_folder_is_the_one_that_was_listed():
    (function,) = listed(step("A"), folder="poll").values()

    assert function["environment"] == {"STREAMS_FOLDER": "poll"}


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("CreateTodo", "create-todo"),
        ("create todo", "create-todo"),
        ("HTTPServer2Go", "httpserver2-go"),
        ("  a/b_c  ", "a-b-c"),
        ("Grüße", "gr-e"),
    ],
)
def test_a_function_is_called_after_its_step(name: str, slug: str):
    assert list(listed(step(name), mode="per-step")) == [slug]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("日本", "has no letter or digit that AWS takes in a name"),
        ("a" * 41, "makes a function's name of 41 characters"),
        ("Run ${env:HOME}", "has '${' in its name"),
    ],
)
def test_a_name_that_no_function_can_have_is_refused(name: str, reason: str):
    assert reason in refusal(step(name), mode="per-step")
    assert listed(step(name))


def test_two_steps_whose_functions_would_have_one_name_are_refused():
    message = refusal(step("CreateTodo"), step("create todo"), mode="per-step")

    assert message.startswith("its function would be called 'create-todo', which that of step 'CreateTodo'")


def test_a_folder_whose_name_osls_would_replace_is_refused():
    with pytest.raises(DefinitionRefused, match="which osls would replace"):
        listed(step("A"), folder="${sls:stage}")


def test_without_steps_there_is_no_list():
    with pytest.raises(DefinitionRefused, match=r"no file below .* ends in _step\.py"):
        functions_list(application(), "router")


def test_more_routes_than_an_api_has_room_for_are_refused():
    many = [step(f"S{number}", http("GET", f"/s/{number}")) for number in range(301)]

    assert len(routes(listed(*many[:-1])["functions"])) == 300
    with pytest.raises(DefinitionRefused, match="301 routes"):
        listed(*many)


def test_more_functions_than_a_stack_has_room_for_are_refused():
    many = [step(f"S{number}", http("GET", f"/s/{number}")) for number in range(71)]

    assert len(listed(*many[:-1], mode="per-step")) == 70
    with pytest.raises(DefinitionRefused, match=r"503 resources.* use --router"):
        listed(*many, mode="per-step")


@pytest.mark.parametrize("mode", ["router", "per-step"])
def test_a_list_does_not_depend_on_the_order_of_its_steps_and_ends_with_a_newline(mode: Mode):
    text = functions_list(application(CREATE, LIST), mode)

    assert functions_list(application(LIST, CREATE), mode) == text
    assert text.endswith("}\n")


@pytest.mark.parametrize("mode", ["router", "per-step"])
def test_a_list_says_how_it_was_made(mode: Mode):
    # One step that is called as the router is.
    assert mode_of(functions_list(application(step("functions")), mode)) == mode
    assert mode_of(functions_list(application(CREATE, LIST), mode)) == mode


def test_what_differs_between_two_lists_is_said_in_words():
    more = step("CreateTodo", http("POST", "/todo"), http("PUT", "/todo"), seconds=5, memory_mb=256)
    before, after = (
        functions_list(application(*steps), "per-step") for steps in ([CREATE, LIST], [more, step("New")])
    )

    assert differences(before, after) == [
        "function new is missing",
        "PUT /todo is missing",
        "function list-todos is no step's any more",
        "timeout of create-todo has changed",
    ]
    assert "PUT /todo is no step's any more" in differences(after, before)


def test_a_list_that_was_only_written_in_another_way_differs():
    text = functions_list(application(CREATE), "router")

    assert differences(text, text) == []
    assert differences(text.replace("  ", " "), text) == ["it is written in another way"]


def test_a_list_that_somebody_wrote_by_hand_differs():
    wanted = functions_list(application(CREATE), "router")

    assert differences('{"functions": {"events": null}}', wanted) == [
        "POST /todo is missing",
        *(
            f"{key} of functions has changed"
            for key in sorted(json.loads(wanted)["functions"])
            if key != "events"
        ),
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"functions": 1}'])
def test_what_is_no_list_of_functions_is_not_compared(text: str):
    with pytest.raises(DefinitionRefused, match="it is no"):
        differences(text, functions_list(application(CREATE), "router"))


def test_the_list_of_this_repository_is_as_its_steps_are():
    text = (REPOSITORY / "infra/functions.json").read_text()

    assert text == functions_list(discover(REPOSITORY / "functions"), mode_of(text)), "run `streams sync`"
