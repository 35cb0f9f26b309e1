"""Servers of PostgreSQL for tests: begun for them, used by nobody else, and gone with their data afterwards."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path


def programs():
    """This will give the folder of PostgreSQL's server programs, the newest of several; None without."""
    on_path = shutil.which("initdb")  # it may be a link, and the others not beside it
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    return Path(on_path).resolve().parent if on_path else debian[-1].parent if debian else None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Cluster:
    """
    One server, from `with` on until its end: an empty one, or a replica that follows `follows`. Its data lie in
    `folder`, or in one that is gone afterwards. `options` are settings, as they are given to the server.
    """

    def __init__(self, folder=None, *, follows=None, **options):
        self.given = folder is not None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="pursuit-pg-"))
        self.follows, self.options = follows, options
        self.port = free_port()
        self.someone_else = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, "postgres", "postgres")
            self.someone_else = ["runuser", "-u", "postgres", "--"]

    def __enter__(self):
        if self.follows:
            self.run("pg_basebackup", "-R", "-X", "stream", "-d", self.follows.url("postgres"))
        else:
            self.run("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        self.start()
        return self

    def __exit__(self, *_error):
        with suppress(subprocess.CalledProcessError):  # it may have ended already
            self.stop()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        if not self.given:
            shutil.rmtree(self.folder)

    def run(self, program, *arguments):
        command = [*self.someone_else, programs() / program, "-D", self.folder / "data", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def start(self):
        options = [f"-c {name}={value}" for name, value in self.options.items()]
        said = " ".join([f"-p {self.port} -k {self.folder} -h 127.0.0.1", *options])
        self.run("pg_ctl", "-w", "-l", self.folder / "log", "-o", said, "start")

    def stop(self):
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")

    def url(self, name):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"
