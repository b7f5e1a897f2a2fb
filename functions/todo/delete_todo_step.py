"""DELETE /todo/{id}: it goes from every screen."""

from streams import HttpError, StepConfig, StreamDeleteResult, http

from .todo_stream import Todo, todo

config = StepConfig(name="DeleteTodo", triggers=[http("DELETE", "/todo/{id}")], flows=["todo"])


async def handler(id: str) -> StreamDeleteResult[Todo]:
    result = await todo.delete("inbox", id)
    if result.old_value is None:
        raise HttpError(404, {"error": f"There is no todo {id!r}"})
    return result
