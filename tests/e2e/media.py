"""Sound that the carrier recorded: fetched with credentials, checked, kept on the disk or in an S3 store, linked with its
call or message, given out by links, deleted when its time has come. Once each, whatever dies in between."""
import base64
import hashlib
import http.server
import json
import math
import signal
import socket
import struct
import subprocess
import threading
import urllib.error
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


def hurry(system):
    """Pauses between tries are for others; and a lease of half a minute outlives whoever was killed."""
    change(system, "UPDATE jobs SET due_at = now() WHERE state = 'queued' OR state = 'leased'")


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


def killed_in_the_middle_there_is_one():
    with Carrier() as carrier, with_carrier(System(), carrier) as system:
        system.organisation("A", "+15550100")
        sound = wav(20)
        sid = carrier.add(21, sound)
        incoming(system, 1)
        carrier.gate.clear()
        recorded(system, 1, sid)
        for _ in range(3):
            assert carrier.halfway.wait(60)
            system.stop("control", signal.SIGKILL)
            carrier.halfway.clear()
            hurry(system)
            system.start_control()
        assert carrier.halfway.wait(60)
        assert recording_of(system, sid) == []
        carrier.gate.set()
        row = kept(system, sid)
        assert bytes_of(system, row) == sound
        eventually("nothing else is left", lambda: len(files_of(system)) == 1)
        assert one(system.sql("SELECT * FROM voicemails"))["recording_id"] == row["id"]
        assert one(system.sql("SELECT * FROM jobs WHERE kind = 'recording_fetch'"))["state"] == "done"


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


if __name__ == "__main__":
    run(a_message_is_fetched_and_linked_whatever_comes_first, a_call_in_two_channels_keeps_both,
        what_is_not_right_is_not_kept, killed_in_the_middle_there_is_one, an_organisation_asks_with_its_own_credentials)
