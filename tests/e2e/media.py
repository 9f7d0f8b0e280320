"""Sound that the carrier recorded: fetched with credentials, checked, kept on the disk or in an S3 store, linked with its
call or message, given out by links, deleted when its time has come. Once each, whatever dies in between."""
import base64
import hashlib
import http.client
import http.server
import json
import math
import random
import signal
import socket
import struct
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

from system import ACCOUNT, BIN, ROOT, TOKEN, System, eventually, free_port, run

RATE = 8000


def wav(seconds, channels=1, samples=None):
    """A tone, louder on the left."""
    count = samples or int(seconds * RATE)
    frames = b"".join(struct.pack(f"<{channels}h", *[int(12000 / (1 + side) * math.sin(n / 5)) for side in range(channels)])
                      for n in range(count))
    return (b"RIFF" + struct.pack("<I", 36 + len(frames)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, channels, RATE, RATE * 2 * channels, 2 * channels, 16) +
            b"data" + struct.pack("<I", len(frames)) + frames)


def recording_sid(number):
    return f"RE{number:032x}"


def call_sid(number):
    return f"CA{number:032x}"


class Carrier:
    """Twilio's REST API as far as recordings go, on 127.0.0.1; the sound itself lies at another host (localhost), where
    credentials must not appear."""

    def __init__(self):
        self.recordings, self.asked, self.leaked, self.deleted = {}, [], [], []
        self.gate = threading.Event()  # cleared: sound stops in the middle
        self.gate.set()
        self.halfway = threading.Event()
        self.api, self.host = self.serve(self.api_answer), self.serve(self.host_answer)
        self.base = f"http://127.0.0.1:{self.api.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        for server in (self.api, self.host):
            server.shutdown()
            server.server_close()

    def add(self, number, sound, channels=1, seconds=None, **more):
        self.recordings[recording_sid(number)] = {"sound": sound, "channels": channels, "not_ready": 0, "status": "completed",
                                                  "seconds": int((len(sound) - 44) / 2 / channels / RATE) if seconds is None
                                                  else seconds, "type": "audio/x-wav", **more}
        return recording_sid(number)

    def serve(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words):
                pass

            def do_GET(self):
                answer(self)

            do_DELETE = do_GET

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client):
                pass

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def say(self, handler, status, body=b"", **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def api_answer(self, handler):
        self.asked.append(f"{handler.command} {handler.path}")
        wanted = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        path, _, query = handler.path.partition("?")
        prefix = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/"
        name, _, kind = path.removeprefix(prefix).partition(".")
        recording = self.recordings.get(name)
        if handler.headers.get("Authorization") != wanted:
            return self.say(handler, 401, b'{"code":20003,"message":"Authenticate","status":401}')
        if not path.startswith(prefix) or not recording:
            return self.say(handler, 404, b'{"code":20404,"message":"The requested resource was not found","status":404}')
        if recording["not_ready"] > 0:
            recording["not_ready"] -= 1
            return self.say(handler, 404, b'{"code":20404,"message":"The requested resource was not found","status":404}')
        if handler.command == "DELETE":
            self.deleted.append(name)
            del self.recordings[name]
            return self.say(handler, 204)
        if kind == "json":
            return self.say(handler, 200, json.dumps({
                "sid": name, "account_sid": ACCOUNT, "status": recording["status"], "channels": recording["channels"],
                "duration": str(recording["seconds"]), "start_time": "Sat, 21 Nov 2026 07:30:00 +0000"}).encode())
        assert kind == "wav" and (query == "RequestedChannels=2") == (recording["channels"] == 2), handler.path
        place = f"http://localhost:{self.host.server_address[1]}/{name}?signature=yes"
        return self.say(handler, 302, b"", Location=place)

    def host_answer(self, handler):
        if handler.headers.get("Authorization"):
            self.leaked.append(handler.path)
        recording = self.recordings[handler.path[1:35]]
        sound, cut = recording["sound"], recording.get("cut")
        handler.send_response(200)
        handler.send_header("Content-Type", recording["type"])
        handler.send_header("Content-Length", str(len(sound)))
        handler.end_headers()
        half = len(sound) // 2
        handler.wfile.write(sound[:half])
        handler.wfile.flush()
        self.halfway.set()
        self.gate.wait(60)
        if cut:
            recording["cut"] -= 1
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.wfile.write(sound[half:])


def with_carrier(system, carrier):
    system.settings["TWILIO_API_BASE"] = carrier.base
    system.control_arguments += ["--allow-private", "localhost"]
    return system


def incoming(system, number, to="+15550100"):
    status, body = system.post("/api/twilio/incoming-call", {
        "CallSid": call_sid(number), "AccountSid": ACCOUNT, "From": "+15550199", "To": to, "CallStatus": "ringing",
        "Direction": "inbound"})
    assert status == 200, body


def recorded(system, number, recording, path="voicemail-recording", seconds=3, status="completed"):
    """Twilio's callback: it names the call, and neither caller nor called."""
    answered, body = system.post(f"/api/twilio/{path}", {
        "CallSid": call_sid(number), "AccountSid": ACCOUNT, "RecordingSid": recording, "RecordingStatus": status,
        "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{recording}",
        "RecordingDuration": str(seconds), "RecordingChannels": "1", "RecordingSource": "RecordVerb"})
    assert answered in (200, 204), (answered, body)


def change(system, statement):
    subprocess.run(["psql", system.database_url, "-Xqc", "SET row_security = off", "-c", statement], check=True,
                   capture_output=True)


def hurry(system, leases=False):
    """Pauses between tries are for others. leases: those of whoever was killed, too; who lives would lose his work."""
    change(system, "UPDATE jobs SET due_at = now() WHERE state = 'queued'" + (" OR state = 'leased'" if leases else ""))


def one(rows):
    assert len(rows) == 1, rows
    return rows[0]


def recording_of(system, sid):
    return system.sql(f"SELECT *, encode(sha256, 'hex') AS hash FROM recordings WHERE source_name = '{sid}'")


def kept(system, sid):
    def look():
        hurry(system)
        return recording_of(system, sid)
    return one(eventually(f"{sid} is kept", look))


def bytes_of(system, row):
    done = subprocess.run([BIN / "ringbridge-control", "recordings", "export", row["id"], "--media-dir", system.media],
                          capture_output=True, env=system.environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_of(system):
    return [path for path in system.media.rglob("*") if path.is_file()]


# ---- fetching ----

def a_message_is_fetched_and_linked_whatever_comes_first():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        organisation = system.organisation("A", "+15550100")
        sound, other = wav(3), wav(2)
        first, second = carrier.add(1, sound, not_ready=2), carrier.add(2, other)
        incoming(system, 1)
        recorded(system, 1, first)
        recorded(system, 1, first)  # Twilio says it again
        recorded(system, 2, second, seconds=2)  # its call is not known yet
        row = kept(system, first)
        assert row["hash"] == hashlib.sha256(sound).hexdigest() and row["bytes"] == len(sound), row
        assert (row["purpose"], row["store"], row["media_type"]) == ("voicemail", "disk", "audio/wav"), row
        assert row["duration_ms"] == 3000 and row["started_at"].startswith("2026-11-21T07:30:00"), row
        assert row["organization_id"] == organisation and row["account_sid"] == ACCOUNT, row
        path = system.media / row["path"]
        assert path.stat().st_mode & 0o777 == 0o600 and path.read_bytes() == sound
        assert bytes_of(system, row) == sound
        assert one(system.sql("SELECT * FROM early_recordings"))["recording_sid"] == second
        assert recording_of(system, second) == []
        incoming(system, 2)
        late = kept(system, second)
        messages = {message["recording_sid"]: message for message in system.sql("SELECT * FROM voicemails")}
        calls = {call["call_sid"]: call["id"] for call in system.sql("SELECT * FROM conversations")}
        for sid, found, number in ((first, row, 1), (second, late, 2)):
            assert messages[sid]["recording_id"] == found["id"] and messages[sid]["state"] == "new", messages
            assert messages[sid]["conversation_id"] == found["conversation_id"] == calls[call_sid(number)], messages
        assert system.sql("SELECT * FROM early_recordings") == []
        assert carrier.leaked == [] and len(files_of(system)) == 2
        peaks = bytes.fromhex(row["peaks"][2:])
        assert len(peaks) == 2 * 150 and row["peak_ms"] == 20 and max(peaks) in range(90, 95), (len(peaks), max(peaks))


def a_call_in_two_channels_keeps_both():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        system.organisation("A", "+15550100")
        sid = carrier.add(3, wav(2, channels=2), channels=2)
        incoming(system, 3)
        recorded(system, 3, sid, path="recording-status", status="in-progress")
        recorded(system, 3, sid, path="recording-status")
        row = kept(system, sid)
        assert row["purpose"] == "call" and row["duration_ms"] == 2000, row
        peaks = bytes.fromhex(row["peaks"][2:])
        assert max(peaks[0::2]) > 1.9 * max(peaks[1::2]) > 0
        assert one(system.sql("SELECT * FROM conversations"))["recording_sid"] == sid
        assert system.sql("SELECT * FROM voicemails") == []


def what_is_not_right_is_not_kept():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        system.organisation("A", "+15550100")
        page = b"<!DOCTYPE html><title>Sign in</title>" * 50
        wrong = {carrier.add(11, page, seconds=1): "what came is no recording: not WAV, PCM of 16 bits",
                 carrier.add(12, wav(1), status="deleted"): "the carrier says that it is deleted",
                 carrier.add(13, wav(1, samples=1)[:44], seconds=1): "what came is not all of it",
                 carrier.add(14, wav(1), seconds=60): "1000 ms came of 60000",
                 carrier.add(15, wav(1), status="processing"): "the carrier is not done with it: processing",
                 recording_sid(16): "Twilio answered 404: The requested resource was not found (20404)"}
        mended = carrier.add(17, wav(1), cut=2)
        incoming(system, 1)
        change(system, "CREATE FUNCTION few() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.max_tries := 3; RETURN NEW; END';"
               "CREATE TRIGGER few BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION few()")
        for sid in [*wrong, mended]:
            recorded(system, 1, sid, path="recording-status")

        def given_up():
            hurry(system)
            return {row["idempotency_key"]: row for row in system.sql("SELECT * FROM jobs")
                    if row["state"] == "dead"}.keys() >= wrong.keys()
        kept(system, mended)
        eventually("everything wrong is given up", given_up)
        jobs = {row["idempotency_key"]: row for row in system.sql("SELECT * FROM jobs")}
        for sid, why in wrong.items():
            assert jobs[sid]["last_error"] == why, jobs[sid]
        assert [jobs[recording_sid(number)]["tries"] for number in (11, 12, 17)] == [1, 1, 3], jobs
        assert len(files_of(system)) == 1, files_of(system)


def killed_in_the_middle_there_is_one(stored=False):
    with Carrier() as carrier, (with_store if stored else lambda system: system)(with_carrier(System(), carrier)) as system:
        system.organisation("A", "+15550100")
        if stored:
            start_store(system)
        sound = wav(20)
        sid = carrier.add(21, sound)
        incoming(system, 1)
        carrier.gate.clear()
        recorded(system, 1, sid)
        for _ in range(3):
            assert carrier.halfway.wait(60)
            system.stop("control", signal.SIGKILL)
            carrier.halfway.clear()
            hurry(system, leases=True)
            system.start_control()
        assert carrier.halfway.wait(60)
        assert recording_of(system, sid) == []
        carrier.gate.set()
        row = kept(system, sid)
        assert bytes_of(system, row) == sound
        eventually("nothing else is left", lambda: len(files_of(system)) == (0 if stored else 1))
        assert not stored or objects_of(system) == [row["path"]]
        assert one(system.sql("SELECT * FROM voicemails"))["recording_id"] == row["id"]
        assert one(system.sql("SELECT * FROM jobs WHERE kind = 'recording_fetch'"))["state"] == "done"


def killed_in_the_middle_there_is_one_object():
    killed_in_the_middle_there_is_one(stored=True)


def an_organisation_asks_with_its_own_credentials():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        organisation = system.organisation("A", "+15550100")
        system.settings |= {"TWILIO_ACCOUNT_SID": "AC" + "9" * 32, "TWILIO_AUTH_TOKEN": "not-the-token"}
        subprocess.run([BIN / "ringbridge-control", "credential", "add", "twilio", "--org", organisation, "--account",
                        ACCOUNT], input=TOKEN, text=True, check=True, env=system.environment(), capture_output=True)
        system.stop("control")
        system.start_control()
        sid = carrier.add(31, wav(1))
        incoming(system, 1)
        recorded(system, 1, sid)
        kept(system, sid)
        assert TOKEN not in system.log("control") and "not-the-token" not in system.log("control")


# ---- an S3 store ----

def with_store(system):
    """Before the system starts: new recordings go to an S3 store beside it."""
    system.s3_port = free_port()
    system.settings |= {"RINGBRIDGE_S3_URL": f"http://127.0.0.1:{system.s3_port}/sound", "RINGBRIDGE_S3_KEY": "S3RVER",
                        "RINGBRIDGE_S3_SECRET": "S3RVER"}
    return system


def start_store(system):
    system.start("s3", "node", ROOT / "tests/practice/s3.mjs", system.s3_port, system.directory / "s3")
    eventually("the store is ready", lambda: "ready" in system.log("s3"))


def objects_of(system):
    """What lies in the bucket, whatever s3rver calls its parts."""
    return sorted({str(path.relative_to(system.directory / "s3/sound")).split("._S3rver")[0]
                   for path in (system.directory / "s3/sound").rglob("*") if path.is_file()})


def fetch(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def link_of(system, row, *flags):
    url = system.control("recordings", "link", row["id"], *flags).strip()
    assert url.startswith("https://calls.example.com/media/"), url
    return url.replace("https://calls.example.com", f"http://127.0.0.1:{system.listen}")


def location_of(url):
    """Where a link leads, not followed."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    connection.request("GET", place.path)
    answer = connection.getresponse()
    assert answer.status == 302, answer.status
    return answer.headers["Location"]


def a_store_of_objects_keeps_it_too():
    with Carrier() as carrier, with_store(with_carrier(System(), carrier)) as system:
        organisation = system.organisation("A", "+15550100", **{"settings.carrier_copy": '"delete"'})
        sound = wav(4)
        sid = carrier.add(41, sound)
        incoming(system, 1)
        recorded(system, 1, sid)  # while the store is away
        eventually("it was tried", lambda: "127.0.0.1: " in str(one(system.sql(
            "SELECT last_error FROM jobs WHERE kind = 'recording_fetch'"))["last_error"]))
        assert carrier.deleted == [] and recording_of(system, sid) == []
        start_store(system)
        row = kept(system, sid)
        assert row["store"] == "s3" and row["path"] == f"{organisation}/{row['id'][:2]}/{row['id']}.wav", row
        assert objects_of(system) == [row["path"]] and files_of(system) == []
        eventually("the carrier's copy is gone", lambda: carrier.deleted == [sid])
        assert bytes_of(system, row) == sound
        status, body, _ = fetch(link_of(system, row), Range="bytes=4-8")  # redirected to the store
        assert (status, body) == (206, sound[4:9]), (status, body[:100])
        signed = location_of(link_of(system, row))
        life = int(urllib.parse.parse_qs(signed)["X-Amz-Expires"][0])
        assert fetch(signed)[1] == sound and 500 < life <= 600, signed
        assert fetch(signed[:-1] + ("0" if signed[-1] != "0" else "1"))[0] == 403  # the store checks what we sign
        assert fetch(signed.replace(f"X-Amz-Expires={life}", f"X-Amz-Expires={life + 1}"))[0] == 403
        assert fetch(signed.split("?")[0])[0] == 403
        system.control("recordings", "delete", row["id"])
        eventually("it is deleted", lambda: recording_of(system, sid)[0]["state"] == "deleted")
        assert objects_of(system) == []
        told = [access["what"] for access in system.sql("SELECT what FROM recording_accesses ORDER BY created_at")]
        assert sorted(told) == ["carrier_deleted", "deleted", "exported", "link", "link", "read"], told
        assert fetch(link_of_deleted(system, row))[0] == 410
        log = system.log("control")
        assert "S3RVER" not in log and TOKEN not in log


def link_of_deleted(system, row):
    """A link that was given before."""
    change(system, f"UPDATE recordings SET state = 'ready', deleted_at = NULL WHERE id = '{row['id']}'")
    url = link_of(system, row)
    change(system, f"UPDATE recordings SET state = 'deleted', deleted_at = now() WHERE id = '{row['id']}'")
    return url


def a_store_that_does_not_know_us_is_told_of():
    with Carrier() as carrier, with_store(with_carrier(System(), carrier)) as system:
        system.organisation("A", "+15550100")
        start_store(system)
        system.settings["RINGBRIDGE_S3_SECRET"] = "another"
        system.stop("control")
        system.start_control()
        sid = carrier.add(42, wav(1))
        incoming(system, 1)
        recorded(system, 1, sid)
        eventually("it is refused", lambda: "SignatureDoesNotMatch" in str(one(system.sql(
            "SELECT last_error FROM jobs WHERE kind = 'recording_fetch'"))["last_error"]))
        assert objects_of(system) == [] and recording_of(system, sid) == []
        system.settings["RINGBRIDGE_S3_SECRET"] = "S3RVER"
        system.stop("control")
        system.start_control()
        assert kept(system, sid)["store"] == "s3"


# ---- giving out ----

def a_link_is_heard_in_pieces_and_for_a_while():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        system.organisation("A", "+15550100")
        sound = wav(40)
        sid = carrier.add(51, sound)
        incoming(system, 1)
        recorded(system, 1, sid)
        row = kept(system, sid)
        url = link_of(system, row)
        whole, pieces = b"", 0
        while len(whole) < len(sound):  # as a player goes on
            status, body, headers = fetch(url, Range=f"bytes={len(whole)}-")
            assert status == 206 and 0 < len(body) <= 262144, (status, len(body))
            assert headers["Content-Range"] == f"bytes {len(whole)}-{len(whole) + len(body) - 1}/{len(sound)}", headers
            assert headers["Content-Type"] == "audio/wav" and headers["Cache-Control"] == "private, no-store", headers
            whole, pieces = whole + body, pieces + 1
        assert whole == sound and pieces == 3
        assert fetch(url, Range="bytes=-5")[1] == sound[-5:]
        assert fetch(url, Range="bytes=0-1")[1] == sound[:2]
        status, _, headers = fetch(url, Range=f"bytes={len(sound)}-")
        assert status == 416 and headers["Content-Range"] == f"bytes */{len(sound)}", headers
        status, page, headers = fetch(url, Accept="text/html,*/*")
        assert status == 200 and b"<audio" in page and headers["Content-Type"].startswith("text/html"), headers
        status, body, headers = fetch(url, Accept="*/*")
        assert status == 200 and body == sound and headers["Content-Length"] == str(len(sound)), (status, headers)
        broken = url[:-1] + ("A" if url[-1] != "A" else "Q")
        for bad in (broken, url[:-2], url + "A", url.rsplit("/", 1)[0] + "/", url.replace("/media/", "/media/x")):
            assert fetch(bad)[0] == 403, bad
        change(system, f"UPDATE recordings SET state = 'deleted', deleted_at = now() WHERE id = '{row['id']}'")
        assert fetch(url, Range="bytes=0-")[0] == 410
        accesses = system.sql("SELECT * FROM recording_accesses ORDER BY created_at")
        link = one([access for access in accesses if access["what"] == "link"])
        reads = [access for access in accesses if access["what"] == "read"]
        assert link["expires_at"] and all(f"127.0.0.1 by link {link['id']}" == read["by_whom"] for read in reads), accesses
        assert 3 <= len(reads) <= 6, reads  # not a row for each piece
        assert system.metric('ringbridge_control_webhooks_total{path="media",result="answered"}') == 9  # three of the whole
        assert system.metric('ringbridge_control_webhooks_total{path="media",result="bad_signature"}') == 5
        assert row["id"] in system.control("voicemail", "list")
        other = system.organisation("B", "+15550101")
        assert system.sql(f"SELECT * FROM recording_accesses WHERE organization_id = '{other}'") == []


def whole_files_are_given_to_whoever_asks_without_a_range():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        system.organisation("A", "+15550100")
        incoming(system, 1)
        recorded(system, 1, carrier.add(71, wav(1)))
        row = kept(system, recording_sid(71))
        sound = random.Random(7).randbytes(20_000_001)
        (system.media / row["path"]).write_bytes(sound)
        change(system, f"UPDATE recordings SET bytes = {len(sound)} WHERE id = '{row['id']}'")
        url = link_of(system, row)
        got = subprocess.run(["curl", "-sS", "--max-time", "60", url, "--next", "-sS", url, "-r", "20000000-", "--next", "-sS",
                              "-o", "/dev/null", "-w", "%{http_code} %{num_connects}", "-I", url],
                             check=True, capture_output=True).stdout
        assert got == sound + sound[-1:] + b"405 0", (len(got), got[-20:])  # on one connection; HEAD stays as it was
        assert system.metric('ringbridge_downloads_total{result="done"}') == 1

        # Somebody who does not read: one piece of his lies at the edge, whatever the file's length.
        place = urllib.parse.urlsplit(url)
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            reader.settimeout(30)
            reader.connect((place.hostname, place.port))
            reader.sendall(f"GET {place.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            first = reader.recv(1000)
            eventually("he has it begun", lambda: system.metric('ringbridge_downloads_total{result="begun"}') == 2)
            eventually("a piece waits for him", lambda: 0 < system.metric("ringbridge_send_queued_bytes"))
            assert system.metric("ringbridge_send_queued_bytes") < 263_000
            # Deleted while he reads: what is not sent yet is not sent any more.
            change(system, f"UPDATE recordings SET state = 'deleted', deleted_at = now() WHERE id = '{row['id']}'")
            rest = b""
            while piece := reader.recv(1 << 20):
                rest += piece
        had = (first + rest).split(b"\r\n\r\n", 1)[1]
        assert 0 < len(had) < len(sound) and sound.startswith(had), len(had)
        assert system.metric('ringbridge_downloads_total{result="broken"}') == 1
        assert system.metric("ringbridge_send_queued_bytes") == 0


def what_was_kept_long_enough_goes():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        system.organisation("A", "+15550100", **{"settings.keep_days": "30"})
        system.organisation("B", "+15550101")
        sids = [carrier.add(number, wav(1)) for number in (61, 62, 63)]
        incoming(system, 1)
        incoming(system, 3, to="+15550101")
        for number, sid in zip((1, 1, 3), sids):
            recorded(system, number, sid)
        rows = [kept(system, sid) for sid in sids]
        change(system, f"UPDATE recordings SET created_at = now() - interval '31 days' WHERE id IN ('{rows[0]['id']}', "
               f"'{rows[2]['id']}')")  # one of A's, and B's, who keeps for ever
        system.stop("control")
        system.start_control()  # looks at its beginning, then every hour
        eventually("it is gone", lambda: one(recording_of(system, sids[0]))["state"] == "deleted")
        assert [one(recording_of(system, sid))["state"] for sid in sids] == ["deleted", "ready", "ready"]
        assert sorted(str(path.relative_to(system.media)) for path in files_of(system)) == \
            sorted([rows[1]["path"], rows[2]["path"]])
        assert one(system.sql("SELECT * FROM recording_accesses"))["by_whom"] == "retention"
        assert carrier.deleted == []
        refused = system.control("config", "set", "--org", "A", "--channel", "voice", "settings.keep_days=soon", check=False)
        assert one(system.sql("SELECT settings FROM channel_configurations"))["settings"] == {"keep_days": 30}, refused


if __name__ == "__main__":
    run(a_message_is_fetched_and_linked_whatever_comes_first, a_call_in_two_channels_keeps_both,
        what_is_not_right_is_not_kept, killed_in_the_middle_there_is_one, an_organisation_asks_with_its_own_credentials,
        killed_in_the_middle_there_is_one_object, a_store_of_objects_keeps_it_too, a_store_that_does_not_know_us_is_told_of,
        a_link_is_heard_in_pieces_and_for_a_while, whole_files_are_given_to_whoever_asks_without_a_range,
        what_was_kept_long_enough_goes)
