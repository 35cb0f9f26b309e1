"""How gunicorn runs Pursuit: two processes of a few threads, modest enough for SQLite."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

from django.conf import settings

wsgi_app = "crm.wsgi:application"
worker_class = "crm.slow.Worker"  # of threads, none of which waits for slow senders
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
preload_app = True  # loaded once, before the processes are forked: what they need lies in memory once
control_socket_disable = True

memory = "/dev/shm"  # noqa: S108  gunicorn makes its own file in it
worker_tmp_dir = memory if os.access(memory, os.W_OK) else None  # a full disk does not stop the heartbeat then

timeout = 30  # a process that does not even look for requests is replaced
graceful_timeout = 25  # requests under way may end before a stop; whoever asked for it waits 30
keepalive = 5

limit_request_line = 8190  # filters travel in the address
limit_request_fields = 64
limit_request_field_size = 8190

loglevel = "warning"
logconfig_dict = settings.LOGGING  # one stream of lines, whoever writes them; crm.request_log writes those of requests


def on_starting(server):
    """This will forget what the processes of an earlier start counted."""
    for counted in settings.METRICS_DIR.glob("*.db"):
        counted.unlink()
