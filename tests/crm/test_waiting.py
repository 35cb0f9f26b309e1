"""
Who waits for the one lock of SQLite: it is had in any pause of who has it, and not waited for without end; and a job
takes short turns while others write.
"""

import sqlite3
import threading
import time

import pytest
from django.db import OperationalError, connection, transaction

from crm.jobs import SHORT_TURN, TURNS, Job
from crm.organisation import Organisation
from crm.sqlite.base import ASKS_EVERY

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has a lock for each row, and a queue for it"),
]


def other():
    return sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)


def test_a_transaction_gets_the_lock_in_a_short_pause_of_who_has_it_again_and_again():
    holder, stop, turns = other(), threading.Event(), []

    def hold():
        while not stop.is_set():
            holder.execute("BEGIN IMMEDIATE")
            time.sleep(0.05)
            holder.execute("COMMIT")
            turns.append(1)
            time.sleep(0.01)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        waited = []
        for _time in range(5):
            time.sleep(0.02)
            before = len(turns)
            with transaction.atomic():
                waited.append(len(turns) - before)
    finally:
        stop.set()
        thread.join()
        holder.close()
    assert sorted(waited)[2] <= 2  # turns of the other; asking ever more rarely would miss the pauses of many


def test_of_many_who_wait_one_asks_and_all_come_to_it():
    begun, asked, counted = threading.Barrier(21, timeout=60), [], []

    def wait():
        connection.ensure_connection()
        connection.connection.set_trace_callback(lambda said: asked.append(said) if said.startswith("BEGIN") else None)
        with connection.execute_wrapper(count):
            begun.wait()
            with transaction.atomic():
                came.append(1)
        connection.close()

    def count(execute, *query):
        counted.append(query[0])
        return execute(*query)

    came, holder = [], other()
    threads = [threading.Thread(target=wait) for _ in range(20)]
    try:
        holder.execute("BEGIN IMMEDIATE")
        for thread in threads:
            thread.start()
        held_from = time.monotonic()
        begun.wait()
        time.sleep(0.3)
        times, held = len(asked), time.monotonic() - held_from
        holder.execute("COMMIT")
    finally:
        for thread in threads:
            thread.join()
        holder.close()
    assert times <= held / ASKS_EVERY + 1  # as often as one asks; it was twenty times as much
    assert (len(came), counted) == (20, [])


def test_a_transaction_is_refused_once_its_patience_is_over():
    connection.settings_dict["OPTIONS"]["timeout"], usual = 0.1, connection.settings_dict["OPTIONS"]["timeout"]
    holder = other()
    try:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"), transaction.atomic():
            pass
        holder.execute("COMMIT")
        with transaction.atomic():
            Organisation.current()
    finally:
        holder.close()
        connection.settings_dict["OPTIONS"]["timeout"] = usual


def test_a_job_takes_short_turns_while_others_write_and_long_ones_alone():
    job, writer = Job(kind="tidy"), other()
    job.checkpoint()
    assert job.turn == TURNS["sqlite"]
    for number in range(4):
        writer.execute(f"PRAGMA user_version = {number + 1}")
        job.checkpoint()
    writer.close()
    assert job.turn == SHORT_TURN
    assert job.sized(100, SHORT_TURN * 2, least=10, most=500) == 50
    job._written.clear()
    assert job.sized(100, 0.001, least=10, most=500) == 200
    assert job.sized(100, 10, least=10, most=500) == 10
