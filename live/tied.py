"""Run a program that ends with its parent: python tied.py PARENT_PID PROGRAM ARGUMENT…

A supervisor that is killed cannot take its children along; where the kernel can, it does. Run as a
file and in front of every child, Redis too, so it imports nothing of ours and takes 20 ms.
"""

import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.5


def main(parent: int, program: list[str], watch: bool = False) -> None:
    """Become the program, or watch over it where the kernel cannot."""
    if watch or not _tied_by_kernel():
        sys.exit(_watch(parent, program))
    if os.getppid() != parent:  # gone before the kernel knew
        sys.exit(1)
    os.execvp(program[0], program)


def _tied_by_kernel() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0


def _watch(parent: int, program: list[str]) -> int:
    child = subprocess.Popen(program)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            code = child.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.kill()
            continue
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
