"""
The figures of Pursuit as it begins and stands idle: from `manage.py serve` to the first answer of /livez, and the
memory of all its processes together, where what they share counts once; as lines of JSON, each beside what it may be.
`python -m tests.bench` runs this on the databases that it fills. It says to stderr what each process takes.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
SETTLES = 8  # seconds until it is idle: the worker has looked through its schedule
MOST_SECONDS, MOST_MEGABYTES = 3, 250
PAGES = ["/accounts/login/"] * 6  # what somebody looks at before it is left alone


def main():
    begun = [round_of() for _round in range(ROUNDS)]
    say("cold-start", MOST_SECONDS, [seconds for seconds, _memory in begun], 1000)
    say("idle-memory", MOST_MEGABYTES, [memory for _seconds, memory in begun], 1)


def round_of():
    """This will begin Pursuit and stop it, and give the seconds until it answered and the megabytes that it took."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.monotonic()
    served = subprocess.Popen(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=os.environ | {"PORT": str(port)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_it_answers(port, "/livez")
        seconds = time.monotonic() - began
        until_it_answers(port, "/healthz")
        for page in PAGES:
            until_it_answers(port, page)
        time.sleep(SETTLES)
        return seconds, memory_of(served.pid)
    finally:
        os.killpg(served.pid, signal.SIGTERM)
        served.wait()


def until_it_answers(port, path):
    patience = time.monotonic() + 120
    while time.monotonic() < patience:
        with suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as asking:
            asking.request("GET", path)
            if asking.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.02)
    raise SystemExit(f"{path} did not answer.")


def memory_of(group):
    """This will give the megabytes of all processes of a group, each page of memory counted once."""
    listed = subprocess.run(["ps", "-eo", "pgid=,pid=,comm="], capture_output=True, text=True, check=True).stdout
    whole = 0
    for line in listed.splitlines():
        of, pid, name = line.split(maxsplit=2)
        if int(of) == group:
            sizes = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
            rss, pss = (int(sizes[size].split()[0]) / 1024 for size in ("Rss", "Pss"))
            print(f"{name:16} {rss:6.0f} MB, its share {pss:4.0f} MB", file=sys.stderr)
            whole += pss
    return whole


def say(name, most, measured, unit):
    """This will print one figure; `unit` turns it into milliseconds, or leaves megabytes as they are."""
    line = {
        "name": name,
        "database": "sqlite" if os.environ["DATABASE_URL"].startswith("sqlite") else "postgresql",
        "rows": 0,
        "viewer": "nobody",
        "concurrency": 1,
        "ratio": round(median(measured) / most, 2),
        "goal": 1,
        "limit": 1.5,
        "reference": f"{most} {'s' if unit > 1 else 'MB'}",
        "p50_ms": round(median(measured) * unit, 1),
        "p95_ms": round(max(measured) * unit, 1),
        "queries": 0,
        "queries_limit": 0,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
