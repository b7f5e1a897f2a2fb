// A live group with the package `ws`: state in memory, every write is encoded once.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const rooms = new Map();
const items = new Map();

function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

const server = createServer((request, response) => {
  const [, group, id] = request.url.split("/");
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    const item = JSON.parse(body);
    entry(items, group, () => new Map()).set(id, item);
    const text = Buffer.from(JSON.stringify({ groupId: group, id, event: { type: "update", data: item } }));
    for (const socket of entry(rooms, group, () => new Set())) socket.send(text, { binary: false });
    response.writeHead(204).end();
  });
});

new WebSocketServer({ server }).on("connection", (socket) => {
  const joined = new Set();
  socket.on("message", (message) => {
    const group = JSON.parse(message).data.groupId;
    const data = [...entry(items, group, () => new Map()).values()];
    socket.send(JSON.stringify({ groupId: group, event: { type: "sync", data } }));
    entry(rooms, group, () => new Set()).add(socket);
    joined.add(group);
  });
  socket.on("close", () => {
    for (const group of joined) rooms.get(group).delete(socket);
  });
});

server.listen(Number(process.argv[2]), "127.0.0.1");
