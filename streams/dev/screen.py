"""What `streams dev` shows: what runs where, and what the functions are."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streams.dev.functions import Found, FunctionsBroken
from streams.dev.run import Running


class Screen:
    """The one screen. Later lines are the log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: Found | None = None
        self._takes_own_tokens = False

    def ready(self, running: Running) -> None:
        """Say where everything is."""
        url, self._takes_own_tokens = running.url, running.takes_own_tokens
        table = _table()
        table.add_row("page", f"{url}/  [dim]open it twice[/]")
        table.add_row("docs", f"{url}/docs")
        table.add_row("sockets", f"{url.replace('http', 'ws', 1)}/")
        table.add_row("items", f"{url}/streams")
        table.add_row("nats", f"{running.nats.server.url}  [dim]{_about(running)}[/]")
        self._console.print(
            f"\n[bold]Streams[/] runs [bold]{escape(_short(running.folder))}[/] at [bold cyan]{url}[/]\n"
        )
        self._console.print(table)

    def loaded(self, found: Found | FunctionsBroken) -> None:
        """Say what the functions are, or why they are not."""
        match found:
            case FunctionsBroken():
                self._console.print(Text(f"\n{found}", "red"))
                self._console.print(
                    "[dim]Save a file to try again. Sockets stay open. Ctrl-C ends everything.[/]\n"
                )
                return
            case _ if found == self._seen:
                self._console.print("[green]functions started anew[/]")
            case _:
                self._console.print(_functions(found, self._takes_own_tokens))
                again = "functions started anew" if self._seen else "Saving a file starts the functions anew"
                self._console.print(f"[dim]{again}. Ctrl-C ends everything.[/]\n")
        self._seen = found


def _about(running: Running) -> str:
    about, nats = f"nats-server {running.nats_version}", running.nats
    if nats.container is not None:
        return f"{about} in the container {nats.container}, data in the volume of that name"
    if nats.data is not None:
        return f"{about}, data in {escape(_short(nats.data))}"
    return f"{about}, started by others"


def _functions(found: Found, takes_own_tokens: bool) -> Table:
    table = _table()
    if found.has_rules and takes_own_tokens:
        table.add_row("token", "streams token --sub ann")
    for stream in found.streams:
        rule = "can_access" if stream["name"] in found.guarded else ""
        table.add_row("stream", stream["name"], rule, f"[dim]bucket {stream['bucket']}[/]")
    for step in found.steps:
        method, _, path = step["trigger"].partition(" ")
        file = escape(_short(Path(step["file"])))
        table.add_row("step", f"[bold]{method:6}[/] {path}", step["name"], f"[dim]{file}[/]")
    return table


def _table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right", min_width=8)
    return table


def _short(path: Path) -> str:
    """As seen from where the developer stands."""
    absolute = path.resolve()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
