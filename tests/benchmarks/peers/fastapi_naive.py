"""A live group as it is first written with FastAPI: sets of WebSockets, and a loop that awaits each send."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

app = FastAPI()
rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)
items: defaultdict[str, dict[str, Any]] = defaultdict(dict)


@app.websocket("/")
async def watch(socket: WebSocket) -> None:
    await socket.accept()
    join = await socket.receive_json()
    group = join["data"]["groupId"]
    await socket.send_json({"groupId": group, "event": {"type": "sync", "data": list(items[group].values())}})
    rooms[group].add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        rooms[group].discard(socket)


@app.post("/{group}/{item_id}", status_code=204)
async def write(group: str, item_id: str, request: Request) -> None:
    item = await request.json()
    items[group][item_id] = item
    text = json.dumps({"groupId": group, "id": item_id, "event": {"type": "update", "data": item}})
    for socket in list(rooms[group]):
        await socket.send_text(text)
