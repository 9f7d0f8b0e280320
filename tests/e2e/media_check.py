"""What lies in the stores of sound beside what our rows say of it: what nobody names goes when it is old, and nothing else
does; what is missing is told of. On the disk and in an S3 store, whatever that says, whoever dies in between."""
import http.server
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import uuid
from datetime import datetime, timedelta, timezone

from media import change, hurry, incoming, one, start_store, with_store
from system import System, eventually, run

HOUR = 3600


def new_id():
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def key_of(organisation, identity, extension="wav"):
    return f"{organisation}/{identity[:2]}/{identity}.{extension}"


class Disk:
    name = "disk"

    def __init__(self, system):
        self.top = system.media

    def put(self, key, hours=30, content=b"sound"):
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time.time() - hours * HOUR,) * 2)
        return key

    def path(self, key):
        return self.top / key

    def keys(self):
        return {str(path.relative_to(self.top)) for path in self.top.rglob("*") if path.is_file()}


class Bucket(Disk):
    """s3rver keeps an object in a file, and says that file's time."""
    name = "s3"

    def __init__(self, system):
        self.top = system.directory / "s3/sound"

    def path(self, key):
        return self.top / (key + "._S3rver_object")

    def keys(self):
        return {key.removesuffix("._S3rver_object") for key in super().keys() if key.endswith("._S3rver_object")}


def call_of(system, organisation, number, to):
    incoming(system, number, to=to)
    return one(system.sql(f"SELECT id FROM conversations WHERE organization_id = '{organisation}'"))["id"]


def add_rows(system, organisation, conversation, store, keys, *, state="ready", days=3):
    """Recordings, as if they had been made so many days ago."""
    keys, rest = keys[:500], keys[500:]  # a statement is an argument, and those are short
    if rest:
        add_rows(system, organisation, conversation, store, rest, state=state, days=days)
    ids = ",".join(f"('{key.split('/')[2][:36]}','{key}')" for key in keys)
    gone = "now() - interval '2 days'" if state == "deleted" else "NULL"
    change(system, "INSERT INTO recordings (id, organization_id, conversation_id, source, source_name, path, media_type, "
           "started_at, duration_ms, bytes, sha256, peaks, peak_ms, store, state, deleted_at, created_at) "
           f"SELECT v.id::uuid, '{organisation}', '{conversation}', 'edge', v.id, v.path, 'audio/wav', now(), 1000, 5, "
           f"decode(repeat('00', 32), 'hex'), '', 20, '{store}', '{state}', {gone}, now() - interval '{days} days' "
           f"FROM (VALUES {ids}) AS v (id, path)")


def add_job(system, organisation, identity, state):
    """Work that makes, or would have made, the file of this name."""
    change(system, "INSERT INTO jobs (id, organization_id, kind, idempotency_key, state, due_at, finished_at) VALUES "
           f"('{identity}', '{organisation}', 'somebody_elses', '{identity}', '{state}', "
           + ("now() + interval '1 hour', NULL)" if state == "queued" else "NULL, now())"))


def look_through(system, organisation, day="one", store=None, tries=5, **more):
    """As the day's plan has it, for one organisation."""
    payload = json.dumps({"day": day} | ({"store": store} if store else {}) | more)
    change(system, f"SELECT enqueue_job('{organisation}', 'media_check', '{day}', '{payload}', {tries})")


def parts(system, organisation, day="one"):
    return system.sql("SELECT * FROM jobs WHERE kind = 'media_check' AND payload ->> 'day' = "
                      f"'{day}' AND organization_id = '{organisation}' ORDER BY created_at")


def done(system, organisation, day="one", hurried=False):
    def look():
        if hurried:  # what waits for a pause to end is due; what somebody is at stays his
            change(system, "UPDATE jobs SET due_at = now() WHERE kind = 'media_check' AND state = 'queued'")
        rows = parts(system, organisation, day)
        return rows and all(row["state"] in ("done", "dead") for row in rows) and rows
    return eventually("the stores are looked through", look, 120)


def found(system, organisation, store):
    return one(system.sql(f"SELECT * FROM media_checks WHERE organization_id = '{organisation}' AND store = '{store}'"))


def no_key_of_others_goes(system, make_store):
    ours, theirs = system.organisation("A", "+15550100"), system.organisation("B", "+15550101")
    store = make_store(system)
    call = call_of(system, ours, 1, "+15550100")
    named = [store.put(key_of(ours, new_id())) for _ in range(1200)]  # more than two pages
    kept = [store.put(key_of(ours, new_id()), hours=23)]              # young: its row may be on its way
    waiting, given_up = new_id(), new_id()
    kept += [store.put(key_of(ours, waiting))]                        # a job is going to name it
    kept += [store.put(f"{ours}/ab/notes.txt"), store.put(f"{theirs}/ab/notes.txt")]
    nobodys = [store.put(key_of(ours, new_id(), extension)) for extension in ("wav", "opus", "wav.part", "opus.part")]
    nobodys += [store.put(key_of(ours, given_up), content=b"longer sound")]
    other = store.put(key_of(theirs, new_id()))
    lost, early = [key_of(ours, new_id()) for _ in range(2)], [key_of(ours, new_id())]
    lingering = [store.put(key_of(ours, new_id()))]
    add_rows(system, ours, call, store.name, named + lost)
    add_rows(system, ours, call, store.name, early, days=0)
    add_rows(system, ours, call, store.name, lingering, state="deleted")
    elsewhere = key_of(ours, new_id())  # its row says that it lies in the other store
    nobodys += [store.put(elsewhere)]
    add_rows(system, ours, call, "s3" if store.name == "disk" else "disk", [elsewhere], days=0)
    add_job(system, ours, waiting, "queued")
    add_job(system, ours, given_up, "dead")
    look_through(system, ours, store=store.name)
    assert [row["state"] for row in done(system, ours)] == ["done"]
    assert store.keys() == {*named, *kept, *lingering, other}
    row = found(system, ours, store.name)
    assert (row["complete"], row["objects"], row["others"]) == (True, 1200 + 2 + 6 + 1, 1), row
    assert (row["removed"], row["removed_bytes"]) == (6, 5 * 5 + 12), row
    assert (row["missing"], row["lingering"]) == (2, 1), row
    assert sorted(row["recordings"]) == sorted(key.split("/")[2][:36] for key in lost + lingering), row
    assert system.metric("ringbridge_control_media_removed_total") == 6
    assert system.metric("ringbridge_control_media_checked_total") == 1209
    assert system.metric("ringbridge_control_recordings_missing") == 2
    assert system.metric("ringbridge_control_recordings_lingering") == 1
    log = system.log("control")
    assert log.count("a file without a recording is removed") == 6 and log.count("a recording's file is missing") == 2, log
    said = system.control("doctor", check=False)
    assert re.search(rf"wrong +recordings +A: 2 recordings have no file \({store.name}\)", said), said
    assert re.search(rf"wrong +recordings +A: 1 recordings are deleted and their files are there \({store.name}\)", said), said

    # The next day: the files are back, and the other organisation has its turn.
    for key in lost:
        store.put(key)
    change(system, f"UPDATE jobs SET state = 'dead', due_at = NULL, finished_at = now() WHERE id = '{waiting}'")
    for organisation in (ours, theirs):
        look_through(system, organisation, day="two", store=store.name)
        done(system, organisation, day="two")
    assert store.keys() == {*named, *lost, *lingering, *(set(kept) - {key_of(ours, waiting)})}
    row = found(system, ours, store.name)
    assert (row["missing"], row["removed"], found(system, theirs, store.name)["removed"]) == (0, 1, 1), row


def what_nobody_names_goes_from_the_disk():
    with System() as system:
        no_key_of_others_goes(system, Disk)


def what_nobody_names_goes_from_a_store_of_objects():
    with with_store(System()) as system:
        start_store(system)
        no_key_of_others_goes(system, Bucket)


def a_day_is_planned_for_everybody_and_for_both_stores():
    with with_store(System()) as system:
        ours, theirs = system.organisation("A", "+15550100"), system.organisation("B", "+15550101")
        start_store(system)
        disk, bucket = Disk(system), Bucket(system)
        for organisation in (ours, theirs):
            disk.put(key_of(organisation, new_id(), "wav.part"))
            bucket.put(key_of(organisation, new_id()))
        for _ in range(2):  # looks at its beginning, then every hour
            system.stop("control")
            system.start_control()
        eventually("all is looked through", lambda: len(system.sql("SELECT * FROM media_checks WHERE complete")) == 4)
        assert disk.keys() == bucket.keys() == set()
        jobs = system.sql("SELECT * FROM jobs WHERE kind = 'media_check' ORDER BY idempotency_key")
        eventually("the jobs are done", lambda: all(row["state"] == "done" for row in system.sql(
            "SELECT state FROM jobs WHERE kind = 'media_check'")))
        day = jobs[0]["idempotency_key"]
        assert [row["idempotency_key"] for row in jobs] == [day, day, f"{day}/s3/1", f"{day}/s3/1"], jobs


def a_store_that_is_away_is_no_empty_one():
    with with_store(System()) as system:
        ours = system.organisation("A", "+15550100")
        call = call_of(system, ours, 1, "+15550100")
        add_rows(system, ours, call, "s3", [key_of(ours, new_id())])
        add_rows(system, ours, call, "disk", [key_of(ours, new_id())])
        system.media.rename(system.directory / "away")
        for store in ("disk", "s3"):
            look_through(system, ours, day=store, store=store, tries=1)
            assert one(done(system, ours, day=store))["state"] == "dead"
        assert system.sql("SELECT * FROM media_checks") == []


def killed_at_any_line_the_same_is_left():
    with System() as system:
        ours = system.organisation("A", "+15550100")
        store, dice = Disk(system), random.Random(11)
        call = call_of(system, ours, 1, "+15550100")
        named = [store.put(key_of(ours, new_id())) for _ in range(300)]
        nobodys = [store.put(key_of(ours, new_id())) for _ in range(900)]
        add_rows(system, ours, call, store.name, named)
        look_through(system, ours, tries=1000)
        for _ in range(12):
            time.sleep(dice.random() * 0.4)  # the moment of the crash
            system.stop("control", signal.SIGKILL)
            assert store.keys() >= set(named)
            hurry(system, leases=True)
            system.start_control()
        assert [row["state"] for row in done(system, ours, hurried=True)] == ["done"]
        assert store.keys() == set(named) and not store.keys() & set(nobodys)
        assert found(system, ours, "disk")["missing"] == 0


# ---- a store that lies ----

class Liar:
    """Answers lists as it is told, and counts what it is asked."""

    def __init__(self, port):
        self.answer, self.lists, self.deleted, self.removals = None, [], [], "204"
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words):
                pass

            def do_GET(self):
                query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
                liar.lists.append(query)
                body = liar.answer(query).encode()
                cut = body.startswith(b"CUT")
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body) + (100 if cut else 0)))
                self.end_headers()
                self.wfile.write(body)
                if cut:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            def do_DELETE(self):
                liar.deleted.append(self.path)
                self.send_response(int(liar.removals))
                self.send_header("Content-Length", "0")
                self.end_headers()

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client):
                pass  # who is cut off

        self.server = Server(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def listed(keys, token=None, hours=30):
    changed = (datetime.now(timezone.utc) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return ("<ListBucketResult>" + "".join(f"<Contents><Key>{key}</Key><LastModified>{changed}</LastModified><Size>1</Size>"
                                           "</Contents>" for key in keys)
            + (f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else
               "<IsTruncated>false</IsTruncated>") + "</ListBucketResult>")


def what_a_store_says_is_believed_when_it_is_a_list():
    with with_store(System()) as system, Liar(system.s3_port) as liar:
        ours, theirs = system.organisation("A", "+15550100"), system.organisation("B", "+15550101")
        call = call_of(system, ours, 1, "+15550100")
        add_rows(system, ours, call, "s3", [key_of(ours, "ff" + new_id()[2:])])
        mine, other = key_of(ours, "0a" + new_id()[2:]), key_of(theirs, new_id())
        lies = {
            "cut": ("CUT" + listed([mine]), "127.0.0.1: "),
            "half": (listed([mine])[:-10], "unclosed token"),
            "page": ("<html>Sign in</html>", "it is not a list of objects"),
            "others": (listed(sorted([mine, other])), "it lists what was not asked for"),
            "outside": (listed([mine.replace("/", "/../")]), None),  # no name of ours: left alone
            "twice": (listed([mine, mine]), "its names are not in order"),
            "bomb": ("<!DOCTYPE a [<!ENTITY a \"aaaaaaaa\">]>" + listed([mine]), "it has a document type"),
            "again": (listed([mine], token="t"), "its names are not in order"),  # the same page for ever
            "empty": (listed([], token="t"), "50 pages of the store's list held nothing of ours"),
            "large": (" " * (3 << 20), "the answer is larger than is taken"),
        }
        for day, (answer, why) in lies.items():
            liar.answer, before, gone = lambda query: answer, len(liar.lists), len(liar.deleted)
            look_through(system, ours, day=day, store="s3", tries=1)
            row = one(done(system, ours, day=day))
            assert row["state"] == ("dead" if why else "done") and (why or "") in (row["last_error"] or ""), (day, row)
            assert len(liar.lists) - before == {"again": 2, "empty": 50}.get(day, 1), (day, len(liar.lists) - before)
            # What the first page of "again" says is a list, and what nobody names there goes.
            assert len(liar.deleted) - gone == (day == "again"), (day, liar.deleted[gone:])
        assert liar.deleted == [f"/sound/{mine}"]
        assert system.metric("ringbridge_control_media_lists_refused_total") == 6
        assert found(system, ours, "s3")["missing"] == 1  # of "outside", the only one that was a list

        # A removal that fails for a while is tried again; one name is asked for at a time.
        liar.answer, liar.removals = lambda query: listed([mine]), "503"
        look_through(system, ours, day="later", store="s3")
        eventually("it was tried", lambda: "503" in str(one(parts(system, ours, "later"))["last_error"]))
        liar.removals = "204"
        assert one(done(system, ours, "later", hurried=True))["state"] == "done"


def a_list_without_an_end_has_one_with_us():
    with with_store(System()) as system, Liar(system.s3_port) as liar:
        ours = system.organisation("A", "+15550100")
        number, ending = iter(range(1, 1 << 20)), threading.Event()

        def answer(query):
            assert query["prefix"] == f"{ours}/" and query["list-type"] == "2" and query["max-keys"] == "500", query
            identity = f"{next(number):08x}-0000-4000-8000-000000000000"
            return listed([key_of(ours, identity)], token=None if ending.is_set() else "n=+/&amp;", hours=1)
        liar.answer = answer
        look_through(system, ours, store="s3")
        eventually("a second part is at work", lambda: len(liar.lists) > 60)
        ending.set()
        rows = done(system, ours)
        assert len(rows) >= 2 and all(row["state"] == "done" for row in rows), rows
        assert [row["payload"].get("part", 1) for row in rows] == list(range(1, len(rows) + 1)), rows
        starts = [query for query in liar.lists if "continuation-token" not in query]
        assert len(starts) == len(rows) and (len(liar.lists) - 1) // 50 == len(rows) - 1, (len(starts), len(liar.lists))
        assert "start-after" not in starts[0] and starts[1]["start-after"] == rows[1]["payload"]["behind"], starts
        assert {query.get("continuation-token", "n=+/&") for query in liar.lists} == {"n=+/&"}
        assert found(system, ours, "s3")["objects"] == len(liar.lists) and liar.deleted == []
        look_through(system, ours, day="endless", store="s3", part=1001)
        row = one(done(system, ours, day="endless"))
        assert (row["state"], row["last_error"]) == ("dead", "the store's list has no end"), row
        look_through(system, ours, day="astray", store="disk", behind="../../etc/passwd")
        assert one(done(system, ours, day="astray"))["state"] == "dead"


if __name__ == "__main__":
    run(what_nobody_names_goes_from_the_disk, what_nobody_names_goes_from_a_store_of_objects,
        a_day_is_planned_for_everybody_and_for_both_stores, a_store_that_is_away_is_no_empty_one,
        killed_at_any_line_the_same_is_left, what_a_store_says_is_believed_when_it_is_a_list,
        a_list_without_an_end_has_one_with_us)
