"""A mail server of one's own for tests: it takes what it is sent, or refuses as the test says, and keeps it all."""

import socketserver
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy


class Session(socketserver.StreamRequestHandler):
    """One client's talk with the server, as far as a client that only sends needs it."""

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self):
        self.say("220 sink")
        sender, recipients = None, []
        for line in self.rfile:
            verb = line.decode().strip()
            command = verb.split(":")[0].split(" ")[0].upper()
            if command in ("EHLO", "HELO"):
                self.say("250 sink")
            elif command == "MAIL":
                sender, recipients = verb, []
                self.say("250 OK")
            elif command == "RCPT":
                address = verb.partition("<")[2].partition(">")[0]
                answer = self.server.sink.answer(address)
                if answer.startswith("250"):
                    recipients.append(address)
                self.say(answer)
            elif command == "DATA":
                self.say("354 go on")
                lines = [
                    data.removeprefix(b".") if data.startswith(b"..") else data
                    for data in iter(self.rfile.readline, b".\r\n")
                ]
                self.server.sink.keep(sender, recipients, b"".join(lines))
                if self.server.sink.silent_after_data:
                    return  # the mail is taken, and the client never hears of it
                self.server.sink.hold()
                self.say("250 taken")
            elif command == "RSET":
                self.say("250 OK")
            elif command == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("502 what?")


class Sink:
    """What the server took (`mails`: email messages with `.recipients`), and how it answers each recipient."""

    def __init__(self):
        self.mails = []
        self.answers = {}  # address: a list of answers, one for each try; then 250
        self.silent_after_data = False
        self.hold_at = None  # the number of the mail that is taken and not answered for
        self.holds = threading.Event()
        self._released = threading.Event()
        self._lock = threading.Lock()

    def answer(self, address):
        with self._lock:
            answers = self.answers.get(address, [])
            return answers.pop(0) if answers else "250 OK"

    def hold(self):
        if len(self.mails) == self.hold_at:
            self.holds.set()
            self._released.wait()

    def hold_another(self, number):
        """This will take that mail from now, and not answer for it until it is released."""
        self.holds.clear()
        self._released.clear()
        self.hold_at = len(self.mails) + number

    def release(self):
        self.hold_at = None
        self._released.set()

    def keep(self, sender, recipients, data):
        mail = message_from_bytes(data, policy=policy.default)
        mail.recipients = recipients
        mail.raw = data
        with self._lock:
            self.mails.append(mail)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def running(port=0):
    """This will give (sink, port) of a server that runs until the block ends."""
    with Server(("127.0.0.1", port), Session) as server:
        server.sink = Sink()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.sink, server.server_address[1]
        finally:
            server.sink.release()
            server.shutdown()
            thread.join()
