"""Runs a Python module that must not outlive whoever started it.

`python guard.py MODULE [ARGUMENT…]`: when standard input closes, because its owner ended in whatever way, the module
gets SIGTERM, and ten seconds later its whole process group goes.
"""

import os
import runpy
import signal
import sys
import threading
import time

_PATIENCE = 10


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_watch, daemon=True).start()
    sys.argv = sys.argv[1:]
    sys.path[0] = ""  # not this file's folder: what stands here must not hide a package of the same name
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
