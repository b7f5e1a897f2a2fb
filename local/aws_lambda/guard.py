"""Ends the processes of functions, and removes their files, when the emulator is gone, however it went.

Run as a script, `python -I -S guard.py FOLDER`, so it imports nothing of
ours. Its stdin is a pipe from the emulator: `+PID` names a process group to
end, `-PID` one that has ended, `.` says that all is done. The kernel closes
the pipe also after `kill -9`, and its end is the order to kill. A frozen
process would otherwise stay for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main(folder: str) -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        if line == ".\n":
            return
        if line[0] == "+":
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    _remove(folder)


def _remove(folder: str) -> None:
    # Only here: a guard whose emulator ends by itself need not wait for this import.
    import shutil

    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o755)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
