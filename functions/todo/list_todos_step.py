"""GET /todos: the inbox as it is now. Clients that stay watch the stream instead."""

from streams import StepConfig, http

from .todo_stream import Todo, todo

config = StepConfig(name="ListTodos", triggers=[http("GET", "/todos")], flows=["todo"])


async def handler() -> list[Todo]:
    return await todo.get_group("inbox")
