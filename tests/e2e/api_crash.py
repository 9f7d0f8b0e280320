"""Control dies while the API writes: before a COMMIT, behind it, and anywhere. Whoever asks again with the same
Idempotency-Key gets what was meant, and nothing is done twice."""
import concurrent.futures
import json
import signal
import subprocess
import threading
import urllib.error

from api import ask, token, write
from system import System, eventually, run

NUMBER = "+15550100"
WRITERS, EACH, KILLS = 4, 15, 3


class Holder:
    """A person at psql who holds a lock until the block's end."""

    def __init__(self, system, taking):
        self.psql = subprocess.Popen(["psql", system.database_url, "-XqAt", "-v", "ON_ERROR_STOP=1"], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.psql.stdin.write(f"BEGIN; {taking}; SELECT 'held';\n")
        self.psql.stdin.flush()
        while "held" not in (line := self.psql.stdout.readline()):
            assert line, "the lock was not to be had"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.psql.communicate("COMMIT;\n")


def add_route(system, bearer, label, key):
    """Status, headers and body; status 0 when nothing came."""
    try:
        return ask(system, "POST", "/api/routes", bearer, {"step": {"step": "agent"}, "label": label}, Idempotency_Key=key)
    except (OSError, json.JSONDecodeError):
        return 0, {}, None


def until_answered(system, bearer, label, key):
    last = []

    def answered():
        last[:] = add_route(system, bearer, label, key)
        assert last[0] in (0, 201, 502, 503, 504), last  # done, or "try again"
        return last[0] == 201
    eventually(f"{key} is answered", answered, 60)
    return last


def routes(system, label="%"):
    return system.sql(f"SELECT id, label FROM call_routes WHERE label LIKE '{label}'")


def waiting(system):
    return system.sql("SELECT 1 AS one FROM pg_locks WHERE NOT granted AND locktype IN ('relation', 'advisory')")


def die_while_held(system, bearer, label, taking):
    """A write is under way and waits for the lock; control is killed; then the lock is gone."""
    answers = []
    with Holder(system, taking):
        asking = threading.Thread(target=lambda: answers.append(add_route(system, bearer, label, label)))
        asking.start()
        eventually("the write waits", lambda: waiting(system) or answers)
        system.stop("control", signal.SIGKILL)
        asking.join()
    assert answers[0][0] != 201, answers
    eventually("PostgreSQL is done with it", lambda: not system.sql(
        "SELECT 1 AS one FROM pg_stat_activity WHERE xact_start IS NOT NULL AND usename IS NOT NULL AND state <> 'idle' "
        "AND pid <> pg_backend_pid()"))
    made = len(routes(system, label))
    system.start_control()
    return made


def once(system, org, label, key):
    assert len(routes(system, label)) == 1, routes(system, label)
    entries = system.sql(f"SELECT status FROM api_audit WHERE key = '{key}' AND status = 201 AND organization_id = '{org}'")
    assert len(entries) == 1, entries


def before_and_behind_the_commit():
    with System() as system:
        org = system.organisation("A", NUMBER)
        bearer = token(system, org, "admin", "--rate", "60000")
        made = die_while_held(system, bearer, "before", "LOCK TABLE api_audit IN EXCLUSIVE MODE")
        assert made == 0, "what was not committed is there"
        _, headers, _ = until_answered(system, bearer, "before", "before")
        assert headers.get("Idempotent-Replay") is None, headers.items()
        once(system, org, "before", "before")
        # PostgreSQL has the COMMIT and carries it out however long it takes; who sent it is dead by then.
        write(system, """
            CREATE FUNCTION hold_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                LOOP
                    BEGIN
                        PERFORM pg_advisory_xact_lock(77);
                        RETURN NULL;
                    EXCEPTION WHEN query_canceled OR lock_not_available THEN NULL;
                    END;
                END LOOP;
            END $$;
            CREATE CONSTRAINT TRIGGER held AFTER INSERT ON call_routes DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (new.label = 'behind') EXECUTE FUNCTION hold_commit();""")
        made = die_while_held(system, bearer, "behind", "SELECT pg_advisory_xact_lock(77)")
        assert made == 1, "what was committed is not there"
        _, headers, route = until_answered(system, bearer, "behind", "behind")
        assert headers.get("Idempotent-Replay") == "true" and route["id"] == routes(system, "behind")[0]["id"], route
        once(system, org, "behind", "behind")


def killed_anywhere():
    with System() as system:
        org = system.organisation("A", NUMBER)
        bearer = token(system, org, "admin", "--rate", "60000")
        keys = [[f"{writer}-{n}" for n in range(EACH)] for writer in range(WRITERS)]
        with concurrent.futures.ThreadPoolExecutor(WRITERS) as hands:
            writers = [hands.submit(lambda own: [until_answered(system, bearer, key, key) for key in own], own) for own in keys]
            for kill in range(1, KILLS + 1):
                eventually("so many are made", lambda: len(routes(system)) >= kill * WRITERS * EACH // (KILLS + 1), 60)
                system.stop("control", signal.SIGKILL)
                system.start_control()
            answered = [answer for writer in writers for answer in writer.result()]
        wanted = sorted(key for own in keys for key in own)
        assert sorted(row["label"] for row in routes(system)) == wanted
        assert sorted(row["id"] for row in routes(system)) == sorted(route["id"] for _, _, route in answered)
        entries = system.sql("SELECT key FROM api_audit WHERE operation = 'add_route' AND status = 201")
        assert sorted(row["key"] for row in entries) == wanted, entries
        replayed = sum(headers.get("Idempotent-Replay") == "true" for _, headers, _ in answered)
        print(f"{len(wanted)} writes, {KILLS} kills, {replayed} answered from the record")


run(before_and_behind_the_commit, killed_anywhere)
