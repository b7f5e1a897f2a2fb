// Writes come by a route inside the server's process: a step would be a process for every request.
function writes(server) {
  const route = { method: "POST", path: "/:group/:id" };
  server.registerApi(route, async ({ body, pathParams }, { streams }) => {
    await streams.bench().set(pathParams.group, pathParams.id, body);
    return { status: 204 };
  });
  return [];
}

export default { plugins: [writes] };
