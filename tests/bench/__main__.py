"""
`make bench`: seeds a database of each kind once, measures it, and prints the ratios as a table; ROWS=1000000 for more.

What was measured is also written to var/bench.json. It ends with 1 where a ratio or a number of queries is beyond
its limit.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import gate  # it finds or starts a PostgreSQL for the tests, and does for us

FOLDER = ROOT / "var" / "bench"
IMPORTED = 100_000  # rows of the file that is imported, once that many are asked for
COLUMNS = [
    ("name", 26), ("viewer", 8), ("rows", 9), ("ratio", 6), ("goal", 5), ("queries", 8), ("p50_ms", 8), ("p95_ms", 8),
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("rows", nargs="*", type=int, default=[100_000], help="how many opportunities, several times")
    sizes = sorted(parser.parse_args().rows)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures = []
    with ExitStack() as stack:
        server = gate.postgresql(stack)
        for rows in sizes:
            for url in urls(server, rows):
                figures += measured(url, "measure", rows)
                figures += measured(url, "serving", rows)
                figures += measured(url, "exporting")
        for url in urls(server, "footprint"):
            figures += measured(url, "footprint")
        if IMPORTED in sizes:
            for url in urls(server, "import", anew=True):
                figures += measured(url, "importing", IMPORTED)
    figures += scale(figures, sizes)
    (ROOT / "var" / "bench.json").write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(summary(figures))


def urls(server, name, *, anew=False):
    """This will give the addresses of the databases of that name, one of each kind, made where they are missing."""
    file = FOLDER / f"{name}.sqlite3"
    if anew:
        for part in FOLDER.glob(f"{file.name}*"):  # SQLite keeps others beside it
            part.unlink()
    found = [f"sqlite:///{file}"]
    if server:
        base, name = server.rpartition("/")[0], f"{gate.DATABASE}_bench_{name}"
        with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
            if anew:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(f'CREATE DATABASE "{name}"')
        found.append(f"{base}/{name}")
    return found


def measured(url, what, *arguments):
    """This will give the figures of one database, as the module `what` takes them."""
    environment = os.environ | {
        "DATABASE_URL": url,
        "VAR_DIR": str(FOLDER),
        "CACHE_URL": "locmemcache://",
        "DJANGO_SETTINGS_MODULE": "crm.settings",
    }
    run = {"cwd": ROOT, "env": environment, "check": True}
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], **run)
    command = [sys.executable, "-m", f"tests.bench.{what}", *map(str, arguments)]
    return [json.loads(line) for line in subprocess.run(command, stdout=subprocess.PIPE, **run).stdout.splitlines()]


def scale(figures, sizes):
    """This will compare each figure of the largest size with that of the smallest, as ratios to the same reference."""
    if len(sizes) < 2:
        return []
    key = ("name", "database", "viewer")
    small = {tuple(one[part] for part in key): one for one in figures if one["rows"] == sizes[0]}
    large = [(one, small[tuple(one[part] for part in key)]) for one in figures if one["rows"] == sizes[-1]]
    return [
        one
        | {
            "name": f"scale: {one['name']}",
            "ratio": round(one["ratio"] / before["ratio"], 2),
            "goal": 1.5,
            "limit": 1.5,
            "reference": f"itself at {sizes[0]}",
            "queries_limit": before["queries"],
        }
        for one, before in large
    ]


def summary(figures):
    """This will print the table, and give 1 where something is beyond its limit, else 0."""
    missed = 0
    for kind in sorted({one["database"] for one in figures}):
        print(f"\n{kind}\n" + "".join(f"{head:>{width}}" for head, width in COLUMNS))
        for one in (one for one in figures if one["database"] == kind):
            far = one["ratio"] > one["limit"] or one["queries"] > one["queries_limit"]
            missed += far
            mark = "  TOO MUCH" if far else "  above the goal" if one["ratio"] > one["goal"] else ""
            print("".join(f"{one[name]:>{width}}" for name, width in COLUMNS) + mark)
    return 1 if missed else 0


if __name__ == "__main__":
    main()
