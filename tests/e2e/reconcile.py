"""Our record beside the carrier's own lists: what no webhook told is put on record, once; what cannot be mended is reported;
nothing of another organisation's is touched. The carrier's REST API is played here; that what we ask is what Twilio describes
is tests/control/twilio_rest_test.c's business."""
import base64
import http.server
import json
import subprocess
import threading
import urllib.parse

from system import ACCOUNT, TOKEN, System, eventually, run

NUMBER, OTHER = "+15550100", "+15550200"
BEGAN, ENDED = "Sat, 21 Nov 2026 07:00:00 +0000", "Sat, 21 Nov 2026 07:01:05 +0000"


def sid(number, kind="CA"):
    return f"{kind}{number:032x}"


class Carrier:
    """Lists of calls and recordings in pages of two, with mishaps on order."""

    def __init__(self):
        self.calls, self.recordings, self.asked, self.mishaps = [], [], [], []
        carrier = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                status, body = carrier.answer(self.path, self.headers.get("Authorization"))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:len(body) // 2] if status == 299 else body)
                self.close_connection = status == 299

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def add_call(self, number, to=NUMBER, status="completed", direction="inbound", **more):
        self.calls.append({"sid": sid(number), "account_sid": ACCOUNT, "from": "+15550177", "to": to, "direction": direction,
                           "status": status, "start_time": BEGAN, "end_time": ENDED if status == "completed" else None,
                           "duration": "65" if status == "completed" else "0", "price": None, "price_unit": "USD",
                           "parent_call_sid": None} | more)

    def answer(self, target, authorization):
        self.asked.append(target)
        if authorization != "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode():
            return 401, b'{"code":20003,"message":"Authenticate","status":401}'
        path, _, query = target.partition("?")
        wanted = dict(urllib.parse.parse_qsl(query))
        name = path.rsplit("/", 1)[1].removesuffix(".json").lower()
        if self.mishaps and name in ("calls", "recordings"):  # the day's look at numbers is another story's
            return self.mishaps.pop(0), b'{"code":20429,"message":"Too Many Requests","status":429}'
        if name == "calls":
            assert wanted.keys() >= {"StartTime>", "StartTime<"} and wanted.keys() & {"To", "From"}, wanted
            items = [call for call in self.calls if call["to"] == wanted.get("To", call["to"]) and
                     call["from"] == wanted.get("From", call["from"])]
        elif name == "recordings":
            items = self.recordings
        else:
            return 404, b'{"code":20404,"message":"The requested resource was not found","status":404}'
        page = int(wanted.get("Page", 0))
        more = f"{path}?" + urllib.parse.urlencode(wanted | {"Page": page + 1}) if len(items) > 2 * page + 2 else None
        return 200, json.dumps({name: items[2 * page:2 * page + 2], "page": page, "next_page_uri": more}).encode()


def world(carrier):
    system = System()
    system.settings["TWILIO_API_BASE"] = carrier.base
    return system


def tell(system, number, status, **more):
    fields = {"AccountSid": ACCOUNT, "CallSid": sid(number), "From": "+15550177", "To": NUMBER, "Direction": "inbound",
              "CallStatus": status} | more
    assert system.post("/api/twilio/status-callback", fields)[0] == 204


def report(system, org):
    return json.loads(system.control("reconcile", "--org", org, "--json"))[0]


def what_no_webhook_told_is_on_record_afterwards_once():
    with Carrier() as carrier, world(carrier) as system:
        org, other = system.organisation("A", NUMBER), system.organisation("B", OTHER)
        tell(system, 1, "completed", SequenceNumber="3", CallDuration="65")  # everything was told
        tell(system, 2, "ringing", SequenceNumber="1")                      # its end was not
        tell(system, 3, "busy", SequenceNumber="3")                         # ended otherwise
        carrier.add_call(1, price="-0.00850")
        carrier.add_call(2)
        carrier.add_call(3)
        carrier.add_call(4)  # nobody ever told
        carrier.add_call(5, to="+15550101", direction="outbound-dial", parent_call_sid=sid(2), **{"from": NUMBER})
        carrier.add_call(6, to=OTHER)
        carrier.recordings = [{"sid": sid(7, "RE"), "call_sid": sid(4), "status": "completed", "duration": "12",
                               "source": "RecordVerb", "start_time": BEGAN},
                              {"sid": sid(8, "RE"), "call_sid": sid(6), "status": "completed", "duration": "12",
                               "source": "RecordVerb", "start_time": BEGAN},
                              {"sid": "nonsense", "call_sid": None}]
        first = report(system, org)
        assert (first["calls"], first["opened"], first["ended"], first["priced"]) == ("5", "1", "1", "1"), first
        assert first["differing"] == sid(3) and (first["recordings"], first["found"]) == ("1", "1"), first
        row = system.conversation(sid(4))
        assert row["organization_id"] == org and row["call_status"] == "completed" and row["duration_ms"] == 65000, row
        assert row["start_timestamp"].startswith("2026-11-21T07:00:00") and row["end_timestamp"].startswith(
            "2026-11-21T07:01:05"), row
        assert system.conversation(sid(2))["call_status"] == "completed"
        assert system.conversation(sid(3))["call_status"] == "busy", "webhooks that came are not overruled"
        assert system.conversation(sid(1))["price"] == -0.0085 and system.conversation(sid(1))["price_unit"] == "USD"
        assert system.conversation(sid(6)) is None, "it is another organisation's to find"
        legs = system.sql("SELECT call_sid, call_status FROM call_legs")
        assert legs == [{"call_sid": sid(5), "call_status": "completed"}], legs
        assert [mail["recording_sid"] for mail in system.sql("SELECT recording_sid FROM voicemails")] == [sid(7, "RE")]
        again = report(system, org)
        assert (again["opened"], again["ended"], again["priced"], again["found"]) == ("0", "0", "0", "0"), again
        theirs = report(system, other)
        assert theirs["opened"] == "1" and system.conversation(sid(6))["organization_id"] == other
        assert len(json.loads(system.control("reconcile", "list", "--org", org, "--json"))) == 2


def a_call_that_the_carrier_does_not_list_is_reported():
    with Carrier() as carrier, world(carrier) as system:
        org = system.organisation("A", NUMBER)
        tell(system, 1, "completed", SequenceNumber="3")
        tell(system, 2, "completed", SequenceNumber="3")
        carrier.add_call(1)
        subprocess.run(["psql", system.database_url, "-Xqc", "SET row_security = off", "-c",
                        "UPDATE conversations SET start_timestamp = now() - interval '1 hour'"], check=True)
        assert report(system, org)["unlisted"] == sid(2)


def the_hour_makes_one_job_and_mishaps_of_the_carrier_are_waited_for():
    with Carrier() as carrier, world(carrier) as system:
        system.organisation("A", NUMBER)
        carrier.add_call(1)
        carrier.mishaps = [429, 500, 299]  # too many requests, a failure, half an answer
        said = system.control("reconcile", "--org", "A", check=False)
        assert said == "" and carrier.mishaps == [500, 299], (said, carrier.mishaps)
        assert system.sql("SELECT * FROM reconciliations") == [] and system.conversation(sid(1)) is None
        system.stop("control")
        system.start_control()  # its clock strikes at its beginning
        eventually("the job was tried", lambda: carrier.mishaps == [299])
        jobs = system.sql("SELECT id, idempotency_key FROM jobs WHERE kind = 'reconcile'")
        assert len(jobs) == 1, jobs
        for left in ([], None):
            eventually("it waits for its next try", lambda: system.sql(
                "SELECT state FROM jobs WHERE kind = 'reconcile'")[0]["state"] in ("queued", "done"))
            system.control("jobs", "retry", jobs[0]["id"], check=False)
            eventually("the next try", lambda: carrier.mishaps == [] if left == [] else system.conversation(sid(1)))
        eventually("the job is done", lambda: system.sql("SELECT state FROM jobs WHERE kind = 'reconcile'")[0]["state"] == "done")
        assert len(system.sql("SELECT * FROM reconciliations")) == 1


if __name__ == "__main__":
    run(what_no_webhook_told_is_on_record_afterwards_once, a_call_that_the_carrier_does_not_list_is_reported,
        the_hour_makes_one_job_and_mishaps_of_the_carrier_are_waited_for)
