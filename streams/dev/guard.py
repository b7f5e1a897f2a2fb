"""The process between us and nats-server: it ends the server when we are gone, however we went.

Run as a script, `python -I -S guard.py LOCK_FD COMMAND...`, so it imports
nothing of ours. Its stdin is a pipe from the parent that nobody writes to.
The kernel closes that pipe also after `kill -9`, on every Unix, and its end
is the order to stop. When the command ends first, the guard ends with its
exit code (128 + the signal, as a shell would say it).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

KILL_AFTER_SECONDS = 2.0


def main(lock: int, command: list[str]) -> int:
    # Only the child holds the writing end, so this pipe ends with the child: one `select` sees both ends.
    ended, held_by_child = os.pipe()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=[lock, held_by_child],
        preexec_fn=_dying_with_us(),
    )
    os.close(held_by_child)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())

    select.select([sys.stdin.fileno(), ended], [], [])
    child.terminate()
    if not select.select([ended], [], [], KILL_AFTER_SECONDS)[0]:
        child.kill()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _dying_with_us() -> Callable[[], None] | None:
    """What the child does before it becomes the command: `kill -9` of the guard must end it, too."""
    if sys.platform != "linux":
        return None
    try:
        # Loaded before the fork: a child that imports can hang on a lock that nobody will release.
        import ctypes
    except ImportError:  # Pythons built without libffi; only the guard's own `kill -9` then leaves a server.
        return None
    prctl, guard, pr_set_pdeathsig = ctypes.CDLL(None).prctl, os.getpid(), 1

    def ask_for_a_signal() -> None:
        prctl(pr_set_pdeathsig, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != guard:  # It died before we asked, so no signal will come.
            os._exit(1)

    return ask_for_a_signal


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
