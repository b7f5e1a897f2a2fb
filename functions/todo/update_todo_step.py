"""PATCH /todo/{id}: change the text, the due date, or whether it is done."""

from datetime import UTC, datetime

from pydantic import BaseModel

from streams import HttpError, StepConfig, StreamUpdateResult, http

from .todo_stream import Todo, todo

config = StepConfig(name="UpdateTodo", triggers=[http("PATCH", "/todo/{id}")], flows=["todo"])


class TodoChange(BaseModel):
    description: str | None = None
    due_date: datetime | None = None
    done: bool | None = None


async def handler(id: str, body: TodoChange) -> StreamUpdateResult[Todo]:
    if body.description is not None and not body.description.strip():
        raise HttpError(400, {"error": "Description is required"})

    def change(item: Todo | None) -> Todo | None:
        if item is None:
            return None
        given = body.model_dump(exclude_unset=True, exclude={"done"})
        if body.description is None:
            given.pop("description", None)
        else:
            given["description"] = body.description.strip()
        if body.done is not None:
            given["completed_at"] = (item.completed_at or datetime.now(UTC)) if body.done else None
        return item.model_copy(update=given)

    result = await todo.update("inbox", id, change)
    if result.new_value is None:
        raise HttpError(404, {"error": f"There is no todo {id!r}"})
    return result
