"""Real processes: killed, forked, many at once."""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from decimal import Decimal

import pytest

from ctxkit.metering.ledger import Ledger
from ctxkit.metering.ledger.journal import journals

# Python 3.12 warns of every fork of a process with threads; that it works is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

WRITER = """
    import sys, threading
    from decimal import Decimal
    from ctxkit.metering.ledger import Ledger
    from ctxkit.model import CostRange, Estimate, Record, Usage

    path, name, count, threads, sync = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    ledger = Ledger(path, sync=sync)

    def record(number, status, **values):
        estimate = Estimate(10, 9, 11, cost=CostRange(None, Decimal("0.5"), None))
        return Record(f"{name}-{number}", f"{name}-{number}", 1, status, 200, 1_763_640_000.0 + number, "openai.chat",
                      "openai", "gpt-4o", feature=name, estimate=estimate, **values)

    def work(first):
        for number in range(first, count, threads):
            ledger.append(record(number, "open"))
            ledger.append(record(number, "settled", usage=Usage(fresh=number), cost=Decimal(number).scaleb(-12), cost_source="card"))
            if threads == 1:
                print(number, flush=True)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
"""


def writer(path, name, count, threads=1, sync="normal", **options):
    arguments = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), name, str(count), str(threads), sync]
    return subprocess.Popen(arguments, **options)


def killed_after(path, seen, sync):
    with writer(path, "victim", 1_000_000, sync=sync, stdout=subprocess.PIPE) as child:
        for line in child.stdout:
            if int(line) >= seen:
                break
        child.send_signal(signal.SIGKILL)
        last = max([seen, *(int(line) for line in child.stdout if line.endswith(b"\n") and line.strip())])
    assert child.returncode == -signal.SIGKILL
    return last


def check_all_there(path, last):
    with Ledger(path) as ledger:
        settled = {one.attempt for one in ledger.records() if one.status == "settled"}
        rest = [one for one in ledger.records() if one.status != "settled"]
        assert {f"victim-{n}" for n in range(last + 1)} <= settled
        assert len(settled) <= last + 2
        assert all((one.status, one.cost) == ("unverified", Decimal("0.5")) for one in rest)
        assert journals(ledger.folder) == []


def test_every_record_is_there_after_kill_9(path):
    check_all_there(path, killed_after(path, 2000, "normal"))


def test_every_record_is_there_after_kill_9_when_it_waits_for_the_disk(path):
    check_all_there(path, killed_after(path, 50, "full"))


@pytest.mark.slow
def test_a_reader_killed_while_it_takes_in_loses_and_doubles_nothing(path):
    writer(path, "w", 3000, 4).wait()
    # Journals again, as if nobody had taken them in: what is in the database already must not count twice.
    with Ledger(path) as ledger:
        total = ledger.read(
            lambda db: db.execute("SELECT sum(fresh), sum(attempts) FROM rollups WHERE span = 3600").fetchone()
        )
    assert total == (sum(range(3000)), 3000)
    code = "import sys; from ctxkit.metering.ledger import Ledger; print(1, flush=True); Ledger(sys.argv[1]).flush()"
    writer(path, "v", 3000, 1, stdout=subprocess.DEVNULL).wait()
    for delay in range(4):
        busy = writer(path, f"x{delay}", 3000, 4)
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as reader:
            reader.stdout.readline()
            try:
                reader.wait(0.05 * (delay + 1))
            except subprocess.TimeoutExpired:
                reader.kill()
        busy.wait()
    with Ledger(path) as ledger:
        sums = "SELECT sum(fresh), sum(attempts), sum(operations), sum(cost_pico) FROM rollups WHERE span = {}"
        for span in (3600, 86400):
            found = ledger.read(lambda db, span=span: db.execute(sums.format(span)).fetchone())
            assert found == (6 * sum(range(3000)), 18_000, 18_000, 6 * sum(range(3000)))


@pytest.mark.slow
def test_eight_processes_of_many_threads_write_at_once(path):
    children = [writer(path, f"p{n}", 500, 4) for n in range(8)]
    with Ledger(path) as ledger:
        while any(child.poll() is None for child in children):
            ledger.flush()  # a reader among them
        assert {child.wait() for child in children} == {0}
        found = list(ledger.records())
        assert Counter(one.feature for one in found) == {f"p{n}": 500 for n in range(8)}
        assert {one.status for one in found} == {"settled"}
        assert sum(one.cost for one in found) == 8 * Decimal(sum(range(500))).scaleb(-12)


def test_a_forked_child_and_its_parent_keep_one_ledger(path, record):
    ledger = Ledger(path)
    ledger.append(record(1, "open"))
    ledger.flush()
    child = os.fork()
    if child == 0:
        try:
            ledger.append(record(1))  # opened before the fork, settled after it
            ledger.append(record(2))
            ledger.flush()
            os._exit(0 if ledger.settled("a00000001") else 1)
        except BaseException:
            os._exit(2)
    ledger.append(record(3))
    assert os.waitpid(child, 0)[1] == 0
    assert [(one.attempt, one.status) for one in ledger.records()] == [(f"a0000000{n}", "settled") for n in (1, 2, 3)]
    ledger.close()


@pytest.mark.slow
def test_a_fork_while_threads_write_and_read(path, record):
    import threading

    ledger = Ledger(path)
    stop = threading.Event()

    def work(first):
        number = first
        while not stop.is_set():
            ledger.append(record(number))
            number += 1
            if number % 50 == 0:
                ledger.flush()

    threads = [threading.Thread(target=work, args=(n * 100_000,)) for n in range(1, 3)]
    for thread in threads:
        thread.start()
    codes = []
    for number in range(5):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            try:
                ledger.append(record(number))
                os._exit(0 if ledger.settled(f"a{number:08d}") else 1)
            except BaseException:
                os._exit(2)
        codes.append(os.waitpid(child, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 5
    assert {f"a{n:08d}" for n in range(5)} <= {one.attempt for one in ledger.records()}
    ledger.close()


def test_a_script_that_just_ends_leaves_its_records_in_the_database(path):
    assert writer(path, "s", 10, 1, stdout=subprocess.DEVNULL).wait() == 0
    import sqlite3

    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM attempts WHERE status = 'settled'").fetchone() == (10,)
    db.close()
    assert not list(path.parent.glob("*.journals/*.jsonl"))
