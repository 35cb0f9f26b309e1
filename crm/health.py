"""Is Pursuit up (/livez), and can it do its work (/healthz)? Answered truthfully, soon, and without asking who asks."""

import threading
import time
import uuid

from django.db import Error, connection, transaction
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from crm.pulse import WorkerPulse

PATIENCE = 3  # seconds that a look at the database may take
FRESH = 1  # seconds that its outcome holds, however many ask


class Probe:
    """
    One look at the database at a time, shared by all who ask meanwhile.

    It has a thread of its own: no driver's timeout helps against a database that holds the line and says nothing.
    `look` writes what it sees into a dict, which begins as `unseen`.
    """

    def __init__(self, look, *, unseen):
        self.look = look
        self.unseen = unseen
        self.lock = threading.Lock()
        self.begun_at = 0
        self.ended = threading.Event()
        self.ended.set()
        self.seen = {}

    def answer(self):
        """This will give what could be found out in PATIENCE seconds."""
        with self.lock:
            if self.ended.is_set() and time.monotonic() - self.begun_at > FRESH:
                self.begun_at = time.monotonic()
                self.ended = threading.Event()
                self.seen = dict(self.unseen)
                threading.Thread(target=self._look, args=[self.seen, self.ended], daemon=True).start()
            seen, ended = self.seen, self.ended
        ended.wait(PATIENCE)
        return dict(seen)

    def _look(self, seen, ended):
        """This will look, and then set `ended`."""
        try:
            self.look(seen)
        except Error:
            pass  # what was seen so far is the answer
        finally:
            connection.close()
            ended.set()


def look(seen):
    """This will write into `seen` what the database lets be seen and done, as it goes."""
    seen["worker"] = "ok" if WorkerPulse.any_alive() else "silent"
    seen["database"] = "not writable"
    with transaction.atomic():
        WorkerPulse.objects.create(worker=f"health {uuid.uuid4()}").delete()
        # And committed, though nothing is left of it: what is rolled back needs no room on a full disk.
    seen["database"] = "ok"


probe = Probe(look, unseen={"database": "no answer", "worker": "unknown"})


@require_safe
@never_cache
def livez(request):
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def healthz(request):
    """200 where the database can be read and written and a worker lives, else 503; the answer says what is missing."""
    parts = probe.answer()
    ready = all(part == "ok" for part in parts.values())
    answer = JsonResponse({"status": "ok" if ready else "unavailable", **parts}, status=200 if ready else 503)
    answer._has_been_logged = True  # or Django would log each question of a monitor as an error of the site
    return answer


def health(get_response):
    """
    This will answer the two addresses before sessions, sign-in and host names are looked at.

    They are asked by number and without cookies, and are answered even where no database holds a session.
    """
    views = {"/livez": livez, "/healthz": healthz}

    def answer(request):
        return views.get(request.path_info, get_response)(request)

    return answer
