// A live group with Socket.IO: items in a Redis hash, every change to the room through the Redis adapter.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, redisPort] = process.argv.slice(2);
const items = createClient({ url: `redis://127.0.0.1:${redisPort}` });
const [publisher, subscriber] = [items.duplicate(), items.duplicate()];
await Promise.all([items, publisher, subscriber].map((client) => client.connect()));

const server = createServer((request, response) => {
  // Socket.IO answers its own paths.
  if (request.method !== "POST") return;
  const [, group, id] = request.url.split("/");
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", async () => {
    await items.hSet(`bench:${group}`, id, body);
    io.to(group).emit("update", { groupId: group, id, data: JSON.parse(body) });
    response.writeHead(204).end();
  });
});

const io = new Server(server, { adapter: createAdapter(publisher, subscriber), serveClient: false });

async function join(socket, group) {
  // First into the room, then the state: a change between the two comes twice instead of never.
  await socket.join(group);
  socket.emit("sync", (await items.hVals(`bench:${group}`)).map((item) => JSON.parse(item)));
}

io.on("connection", (socket) => {
  socket.on("join", (group) => join(socket, group));
  join(socket, socket.handshake.auth.group);
});

server.listen(Number(port), "127.0.0.1");
