"""A live group as it is first written with FastAPI: sets of WebSockets, and a loop that awaits each send."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

app = FastAPI()
rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)
items: defaultdict[str, dict[str, Any]] = defaultdict(dict)


@app.websocket("/")
async def watch(socket: WebSocket) -> None:
    await socket.accept()
    joined: set[str] = set()
    try:
        while True:
            join = await socket.receive_json()
            group = join["data"]["groupId"]
            state = list(items[group].values())
            await socket.send_json({"groupId": group, "event": {"type": "sync", "data": state}})
            rooms[group].add(socket)
            joined.add(group)
    except WebSocketDisconnect:
        pass
    finally:
        for group in joined:
            rooms[group].discard(socket)


@app.post("/{group}/{item_id}", status_code=204)
async def write(group: str, item_id: str, request: Request) -> None:
    item = await request.json()
    items[group][item_id] = item
    text = json.dumps({"groupId": group, "id": item_id, "event": {"type": "update", "data": item}})
    for socket in list(rooms[group]):
        # It may have gone while the ones before it were written to.
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(text)
