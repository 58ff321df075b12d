"""Runs a program and writes its output as a container runtime does for the kubelet: CRI lines in one file.

usage: cri_writer.py LOG_FILE COMMAND...

Each line becomes `<RFC 3339 time with nanoseconds> <stdout|stderr> <F|P> <text>`; a line longer than the runtime's
buffer is cut into pieces marked P and a last one marked F. SIGTERM is handed on to the program.
"""

import signal
import subprocess
import sys
import threading
import time

# containerd's default, in bytes.
MAX_PIECE = 16 * 1024


def stamp():
    now = time.time_ns()
    seconds, nanos = divmod(now, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanos:09d}Z"


def copy(source, name, out, lock):
    for line in source:
        text = line.rstrip(b"\n")
        pieces = [text[at : at + MAX_PIECE] for at in range(0, len(text), MAX_PIECE)] or [b""]
        for number, piece in enumerate(pieces, 1):
            flag = "F" if number == len(pieces) else "P"
            with lock:
                out.write(f"{stamp()} {name} {flag} ".encode() + piece + b"\n")
                out.flush()


def main():
    path, command = sys.argv[1], sys.argv[2:]
    with open(path, "ab") as out:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        lock = threading.Lock()
        copies = [
            threading.Thread(target=copy, args=(child.stdout, "stdout", out, lock)),
            threading.Thread(target=copy, args=(child.stderr, "stderr", out, lock)),
        ]
        for thread in copies:
            thread.start()
        for thread in copies:
            thread.join()
        sys.exit(child.wait())


main()
