"""POST /todo: everybody who watches the inbox sees the new todo."""

from datetime import UTC, datetime
from uuid import uuid4

from pydantic import BaseModel

from streams import Context, HttpError, StepConfig, StreamSetResult, http

from .todo_stream import Todo

config = StepConfig(name="CreateTodo", triggers=[http("POST", "/todo")], flows=["todo"])


class NewTodo(BaseModel):
    description: str = ""
    due_date: datetime | None = None


async def handler(body: NewTodo, context: Context) -> StreamSetResult[Todo]:
    description = body.description.strip()
    if not description:
        raise HttpError(400, {"error": "Description is required"})
    item = Todo(
        id=uuid4().hex[:12], description=description, created_at=datetime.now(UTC), due_date=body.due_date
    )
    context.logger.info("creating a todo id=%s", item.id)
    return await context.streams.todo.set("inbox", item.id, item)
