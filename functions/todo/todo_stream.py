"""The todos: one group per list, `inbox` for the one everybody shares."""

from datetime import datetime

from pydantic import BaseModel

from streams import Stream


class Todo(BaseModel):
    id: str
    description: str
    created_at: datetime
    due_date: datetime | None = None
    completed_at: datetime | None = None


todo = Stream("todo", Todo, public=True)
