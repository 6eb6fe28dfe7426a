"""Child processes: what they use, and their end, whatever happens to us."""

import contextlib
import os
import signal
import subprocess
import sys
import time

_TICK = os.sysconf("SC_CLK_TCK")
_running = set()


def say(text):
    """Progress goes to standard error: standard output is for the result."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def start(command, **options):
    """Starts a child that `end_all` knows."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    _running.add(child)
    return child


def end(child, patience=15):
    """Asks a child to end, and makes it when it does not."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            say(f"{os.path.basename(child.args[0])} did not end within {patience} s and was killed")
            child.kill()
            child.wait()
    _running.discard(child)


def end_all():
    """Ends every child that is left."""
    for child in list(_running):
        end(child, patience=3)


@contextlib.contextmanager
def ended_with_us():
    """No child outlives the block, be it left by Ctrl-C or by SIGTERM."""

    def leave(number, _frame):
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        end_all()


def run(command):
    """Runs a program to its end. Gives its output, wall time, CPU time (its children's too) and peak memory."""
    began = time.monotonic()
    child = start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    with child.stdout:
        output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    _running.discard(child)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output}")
    return {
        "output": output,
        "wall_s": time.monotonic() - began,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_mb": usage.ru_maxrss / 1024,
    }


def cpu_seconds(pid):
    """CPU time of a process, its threads, and its children, those that have ended included."""
    total = 0
    for member in [pid, *_descendants(pid)]:
        try:
            with open(f"/proc/{member}/stat") as file:
                # The name, in parentheses, may hold spaces; user and system time follow as the 12th to 15th fields.
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(ticks) for ticks in fields[11:15])
    return total / _TICK


def _descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                for child in file.read().split():
                    found += [int(child), *_descendants(int(child))]
    return found


def descriptors(pid):
    """Open descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory_mb(pid):
    """Resident memory of a process in MiB, its children not counted: now, and at its peak."""
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    if "VmRSS" not in lines:
        raise RuntimeError(f"process {pid} has ended")
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
