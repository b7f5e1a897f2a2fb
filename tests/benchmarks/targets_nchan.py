"""Nchan: what nginx itself can do for live pages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

import orjson

from tests.benchmarks.processes import free_port, running
from tests.benchmarks.targets_http import posting
from tests.benchmarks.targets_node import need
from tests.benchmarks.targets_protocol import Item, Servers, Skipped, Write

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

CONFIGURATION = """
load_module {module};
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 30000; }}
http {{
  access_log off;
  client_body_buffer_size 64k;
  client_body_temp_path {directory};
  proxy_temp_path {directory};
  fastcgi_temp_path {directory};
  uwsgi_temp_path {directory};
  scgi_temp_path {directory};
  keepalive_requests 1000000000;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location ~ /watch/([^/]+)$ {{
      nchan_subscriber websocket;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }}
    location ~ /write/([^/]+)$ {{
      nchan_publisher http;
      nchan_channel_id $1;
      nchan_message_buffer_length 100;
    }}
  }}
}}
"""


class Nchan:
    """nginx with the module Nchan, one worker: messages and no items.

    It could send the last messages of a group to who joins. Those are not the
    group's items, and nothing says where they end and the changes begin: a
    join here is the upgrade alone, and gives nothing of what was before it.
    """

    name: ClassVar[str] = "nchan"
    subprotocol: ClassVar[str | None] = None
    copies: ClassVar[int] = 1
    is_pinging: ClassVar[bool] = False

    def prepare(self) -> None:
        need("nginx", package="nginx-light")
        if not MODULE.exists():
            raise Skipped("nginx has no module Nchan (Debian's package libnginx-mod-nchan)")

    def version(self) -> str:
        nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, timeout=10)
        version = nginx.stderr.strip().rpartition("/")[2]
        return f"nginx {version}, Nchan {_debian_version('libnginx-mod-nchan')}"

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        settings = directory / "nginx.conf"
        settings.write_text(CONFIGURATION.format(module=MODULE, directory=directory, port=port))
        command = ["nginx", "-p", str(directory), "-c", str(settings), "-e", "stderr"]
        with running(self.name, command, directory) as server:
            server.wait_for_port(port)
            yield Servers(port, [server.pid], [])

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port, _request)

    def path(self, group: str) -> str:
        return f"/watch/{group}"

    def opening(self, group: str) -> list[bytes]:
        return []

    def further(self, group: str, number: int) -> list[bytes]:
        return []

    def is_joined(self, received: bytes) -> bool:
        return True

    def answer(self, received: bytes) -> bytes | None:
        return None


def _request(group: str, item: Item) -> tuple[str, bytes]:
    return f"/write/{group}", orjson.dumps(item)


def _debian_version(package: str) -> str:
    """Without what Debian adds to it."""
    if shutil.which("dpkg-query") is None:
        return "of unknown version"
    command = ["dpkg-query", "--showformat=${source:Upstream-Version}", "--show", package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return done.stdout.partition("+")[0] or "of unknown version"
