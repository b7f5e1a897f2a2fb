"""What a step file says about itself, and what its handler is given."""

from __future__ import annotations

import copy
import logging
import re

import pytest

from streams import DefinitionRefused, StepConfig, Stream, UnknownStream, context_for, http
from streams.context import Context, StreamsByName
from streams.step import METHODS, HttpTrigger, step_config

todo = Stream("todo", dict)
notes = Stream("chat-notes", dict)


def test_a_step_runs_for_a_method_and_a_path():
    trigger = http("POST", "/todo/{id}")

    assert (trigger.method, trigger.path) == ("POST", "/todo/{id}")
    assert str(trigger) == "POST /todo/{id}"


@pytest.mark.parametrize("method", METHODS)
def test_a_method_may_be_written_in_any_case(method):
    assert http(method.lower(), "/") == http(method, "/")


@pytest.mark.parametrize(
    ("seed", "ours"),
    [
        ("/todo/:id", "/todo/{id}"),
        ("/:group/todo/:todo_id/done", "/{group}/todo/{todo_id}/done"),
        ("/:a/:b", "/{a}/{b}"),
        ("/todo/{id}", "/todo/{id}"),
        ("/time/12:30", "/time/12:30"),
        ("/:1", "/:1"),
        ("/", "/"),
    ],
)
def test_a_path_of_the_seed_means_the_same(seed, ours):
    assert http("GET", seed).path == ours


@pytest.mark.parametrize("method", ["FETCH", "", "GET ", None, 7])
def test_what_is_no_method_is_refused(method):
    with pytest.raises(DefinitionRefused) as refused:
        http(method, "/todo")

    assert str(refused.value) == (
        f"{method!r} is not an HTTP method; expected one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
    )


@pytest.mark.parametrize("path", ["", "todo", ":id", None, 7])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(DefinitionRefused, match=f"^path {path!r} does not start with '/'$"):
        http("GET", path)


def test_everybody_may_run_a_step_unless_it_says_otherwise():
    assert http("POST", "/todo").auth == "optional"
    assert http("POST", "/todo", auth="required") != http("POST", "/todo")


def test_a_trigger_says_who_may_run_the_step_where_not_everybody_may():
    shown = [str(http("POST", "/todo", auth=auth)) for auth in ("optional", "required", "none")]

    assert shown == ["POST /todo", "POST /todo (auth required)", "POST /todo (auth none)"]


@pytest.mark.parametrize("auth", ["Required", "", "public", None, True, ["required"]], ids=repr)
def test_what_says_nothing_of_who_may_run_a_step_is_refused(auth):
    with pytest.raises(DefinitionRefused) as refused:
        http("POST", "/todo", auth=auth)

    assert str(refused.value) == f"auth={auth!r} does not exist; expected one of optional, required, none"


def test_a_trigger_in_a_dict_says_who_may_run_the_step_too():
    trigger = {"type": "http", "method": "POST", "path": "/todo", "auth": "required"}

    several = step_config({"name": "A", "triggers": [trigger, http("GET", "/todo", auth="none")]})
    alone = step_config({"name": "A", **trigger})

    assert [each.auth for each in several.triggers] == ["required", "none"]
    assert alone.triggers == (http("POST", "/todo", auth="required"),)
    with pytest.raises(DefinitionRefused, match=r"^auth='yes' does not exist"):
        step_config({"name": "A", "triggers": [{**trigger, "auth": "yes"}]})


@pytest.mark.parametrize("name", ["", "  ", None, 7])
def test_a_step_needs_a_name(name):
    with pytest.raises(DefinitionRefused, match=r"^a step needs a name$"):
        StepConfig(name=name, triggers=[http("GET", "/")])


def test_a_step_that_would_never_run_is_refused():
    with pytest.raises(
        DefinitionRefused, match=r"^step 'A' has no triggers, so it would never run; add http"
    ):
        StepConfig(name="A", triggers=[])


@pytest.mark.parametrize("triggers", [http("GET", "/"), "GET /", 7, {"type": "http", "path": "/"}], ids=repr)
def test_triggers_that_are_no_list_are_refused(triggers):
    for make in (
        lambda: StepConfig(name="A", triggers=triggers),
        lambda: step_config({"name": "A", "triggers": triggers}),
    ):
        with pytest.raises(
            DefinitionRefused, match=re.escape(f"`triggers` of step 'A' is a list, not {triggers!r}")
        ):
            make()


@pytest.mark.parametrize("flows", ["todo", 7, {"todo": 1}], ids=repr)
def test_flows_that_are_no_list_are_refused(flows):
    for make in (
        lambda: StepConfig(name="A", triggers=[http("GET", "/")], flows=flows),
        lambda: step_config({"name": "A", "triggers": [http("GET", "/")], "flows": flows}),
    ):
        with pytest.raises(
            DefinitionRefused, match=re.escape(f"`flows` of step 'A' is a list, not {flows!r}")
        ):
            make()


def test_a_config_object_is_taken_as_it_is():
    config = StepConfig(name="A", triggers=[http("GET", "/")])

    assert step_config(config) is config


def test_a_trigger_may_be_a_dict_wherever_triggers_are_written():
    config = StepConfig(name="A", triggers=[{"type": "http", "method": "get", "path": "/a/:id"}])

    assert config.triggers == (http("GET", "/a/{id}"),)


def test_a_dict_with_triggers_is_a_config():
    config = step_config(
        {
            "name": "CreateTodo",
            "description": "Adds one",
            "triggers": [{"type": "http", "method": "POST", "path": "/todo"}, http("PUT", "/todo/:id")],
            "flows": ["todo"],
        }
    )

    assert config == StepConfig(
        "CreateTodo", (http("POST", "/todo"), http("PUT", "/todo/{id}")), ("todo",), "Adds one"
    )


def test_a_dict_with_one_trigger_of_its_own_is_a_config():
    config = step_config(
        {"type": "api", "name": "CreateTodo", "method": "POST", "path": "/todo", "flows": ["todo"]}
    )

    assert config == StepConfig("CreateTodo", (HttpTrigger("POST", "/todo"),), ("todo",))


def test_a_dict_without_a_method_means_get():
    assert step_config({"type": "http", "name": "A", "path": "/"}).triggers == (http("GET", "/"),)


@pytest.mark.parametrize("config", [None, 7, "CreateTodo", [], http("GET", "/")], ids=repr)
def test_what_is_no_config_is_refused(config):
    with pytest.raises(DefinitionRefused, match=r"^`config` is a .*; expected StepConfig"):
        step_config(config)


@pytest.mark.parametrize("key", ["canAccess", "middleware", "bodySchema", 7])
def test_a_config_that_asks_for_what_does_not_exist_is_refused(key):
    with pytest.raises(DefinitionRefused, match=f"^`config` has {key!r}, which this release does not know$"):
        step_config({"name": "A", "triggers": [http("GET", "/")], key: 1})


def test_a_trigger_that_asks_for_what_does_not_exist_is_refused():
    trigger = {"type": "http", "method": "GET", "path": "/", "middleware": ["signedIn"]}

    with pytest.raises(
        DefinitionRefused, match=r"^a trigger has 'middleware', which this release does not know$"
    ):
        step_config({"name": "A", "triggers": [trigger]})


@pytest.mark.parametrize("kind", ["cron", "queue", "event", "", None, 7])
def test_an_unknown_type_of_trigger_is_refused(kind):
    with pytest.raises(
        DefinitionRefused, match=f"^trigger type {kind!r} does not exist here; expected 'http'$"
    ):
        step_config({"name": "A", "triggers": [{"type": kind, "path": "/"}]})


@pytest.mark.parametrize("trigger", ["GET /", None, ("GET", "/")], ids=repr)
def test_what_is_no_trigger_is_refused(trigger):
    with pytest.raises(DefinitionRefused, match=r"^a trigger is http\(\.\.\.\) or a dict, not "):
        StepConfig(name="A", triggers=[http("GET", "/"), trigger])


def test_a_dict_with_neither_type_nor_triggers_would_never_run():
    with pytest.raises(DefinitionRefused, match="has no triggers"):
        step_config({"name": "A", "path": "/"})


def test_a_stream_is_an_attribute_or_a_name():
    streams = context_for(todo, notes).streams

    assert streams.todo is streams["todo"] is todo
    assert streams["chat-notes"] is notes
    assert list(streams) == [todo, notes]
    assert len(streams) == 2


@pytest.mark.parametrize("look", [lambda s: s.tood, lambda s: s["tood"]], ids=["attribute", "name"])
def test_a_stream_that_does_not_exist_is_named_with_the_likeliest_one(look):
    with pytest.raises(UnknownStream) as error:
        look(context_for(todo, notes).streams)

    assert str(error.value) == ("there is no stream 'tood'; did you mean 'todo'? There are: chat-notes, todo")
    assert error.value.name == "tood"


def test_an_application_without_streams_says_so():
    with pytest.raises(UnknownStream, match=r"^there is no stream 'todo'; there are none yet$"):
        context_for().streams.todo


def test_streams_are_ordinary_to_whoever_copies_or_inspects_them():
    streams = StreamsByName([todo])

    assert copy.copy(streams).todo is todo
    assert not hasattr(streams, "__wrapped__")


def test_a_handler_called_by_hand_is_told_who_calls_and_without_that_it_is_nobody():
    assert context_for(todo).auth is None
    assert context_for(todo, auth={"user": "ann"}).auth == {"user": "ann"}
    assert "ann" not in repr(context_for(todo, auth={"user": "ann"})), "it may be personal, and ends in logs"


def test_every_call_has_an_id_of_its_own():
    one, other = context_for(todo), context_for(todo)

    assert re.fullmatch(r"[0-9a-f]{32}", one.trace_id)
    assert one.trace_id != other.trace_id


def test_a_logged_line_says_which_step_and_which_call_it_is_from(caplog):
    caplog.set_level(logging.INFO)
    context = Context(StreamsByName([]), "CreateTodo", "ab" * 16)

    context.logger.info("created id=%s", "42")

    (line,) = caplog.records
    assert line.getMessage() == "created id=42"
    assert (line.name, line.step, line.trace_id) == ("streams.step.CreateTodo", "CreateTodo", "ab" * 16)


@pytest.mark.parametrize("seconds", [0.5, 1, 29, 900])
@pytest.mark.parametrize("memory", [128, 10_240])
def test_a_step_says_how_long_it_may_take_and_what_memory_it_needs(seconds, memory):
    ours = StepConfig("Import", [http("POST", "/")], timeout_seconds=seconds, memory_mb=memory)
    seeds = step_config(
        {
            "name": "Import",
            "triggers": [{"type": "http", "method": "POST", "path": "/"}],
            "infrastructure": {"handler": {"ram": memory, "timeout": seconds}},
        }
    )

    assert ours == seeds
    assert (seeds.timeout_seconds, seeds.memory_mb) == (seconds, memory)


@pytest.mark.parametrize("seconds", [0, -1, 900.1, True, "10", float("nan"), float("inf")])
def test_a_time_out_that_is_none_is_refused(seconds):
    with pytest.raises(DefinitionRefused, match=r"time-out is .* more than 0 and at most 900"):
        StepConfig("Import", [http("POST", "/")], timeout_seconds=seconds)


@pytest.mark.parametrize("memory", [127, 10_241, 512.0, True, "512"])
def test_memory_that_no_function_can_have_is_refused(memory):
    with pytest.raises(DefinitionRefused, match="expected whole MB from 128 to 10240"):
        StepConfig("Import", [http("POST", "/")], memory_mb=memory)


@pytest.mark.parametrize(
    ("infrastructure", "problem"),
    [
        ({"handler": {"cpu": 2}}, "'cpu', which this release does not know"),
        ({"queue": {}}, "'queue', which this release does not know"),
        ({"handler": 512}, "`infrastructure` is"),
        ([], "`infrastructure` is"),
    ],
)
def test_infrastructure_that_would_not_be_there_is_refused(infrastructure, problem):
    with pytest.raises(DefinitionRefused, match=problem):
        step_config(
            {"name": "A", "triggers": [{"type": "http", "path": "/"}], "infrastructure": infrastructure}
        )
