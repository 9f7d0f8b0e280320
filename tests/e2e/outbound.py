"""Calls that we make: asked for over HTTP, answered by the agent, on record with every status; batches tried again, paused and
stopped. What befalls many numbers: outbound_batches.py."""
import base64
import collections
import json
import subprocess
import urllib.error
import urllib.request

from system import ACCOUNT, BIN, PUBLIC_URL, TOKEN, System, eventually, free_port, run

OURS = "+15550100"
CALLS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
HANGUP = {"step": {"step": "hangup", "say": "Goodbye."}}


class Outbound(System):
    """The system, and a carrier that makes calls."""

    def __init__(self, *carrier_arguments, job_workers=4, **more):
        super().__init__(**more)
        self.carrier_arguments, self.rest_port = carrier_arguments, free_port()
        self.rest = f"http://127.0.0.1:{self.rest_port}"
        self.settings["TWILIO_API_BASE"] = self.rest
        self.control_arguments = ["--job-workers", str(job_workers)]

    def start_edge(self):
        super().start_edge()
        self.start("carrier", BIN / "practice-carrier", "--rest", f"127.0.0.1:{self.rest_port}", "--webhook",
                   f"http://127.0.0.1:{self.listen}/api/twilio/incoming-call", "--public-url", PUBLIC_URL, "--account-sid",
                   ACCOUNT, "--quiet", "--json", self.directory / "carrier.json", "--ai-hint", f"http://127.0.0.1:{self.ai_port}", *self.carrier_arguments)
        eventually("the carrier listens", lambda: "ready" in self.log("carrier"))

    def limits(self, org, **limits):
        self.control("call", "limits", "--org", org, *[f"{key}={value}" for key, value in limits.items()])

    def token(self, org, role="operator"):
        return self.control("token", "add", "--org", org, "--role", role, "--rate", "60000").strip().split("\n")[0]

    def make(self, token, asked, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{self.listen}/api/twilio/calls/make", method="POST",
                                         data=asked if isinstance(asked, bytes) else json.dumps(asked).encode())
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def batch(self, org, name, numbers, check=True, header="to", **asked):
        words = ["batch", "add", name, json.dumps({"from": OURS} | asked), "--org", org]
        done = subprocess.run([BIN / "ringbridge-control", *words], input=header + "\n" + "\n".join(numbers) + "\n", text=True,
                              capture_output=True, env=self.environment())
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip() if check else done

    def shown(self, name):
        return json.loads(self.control("batch", "show", name, "--json"))

    def finished_batch(self, name, seconds=60):
        return eventually(f"batch {name} is done", lambda: (it := self.shown(name))["state"] == "done" and it, seconds)

    def asked_for(self, call):
        return json.loads(self.control("call", "show", call))

    def done(self, call, seconds=30):
        return eventually("the call is done with", lambda: (it := self.asked_for(call))["state"] == "done" and it, seconds)

    def listed(self, url):
        """A page of the carrier's own list of calls."""
        request = urllib.request.Request(self.rest + url)
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def has_called(self, count):
        """Has the carrier made so many calls?"""
        return bool(self.listed(f"{CALLS}?PageSize=1&Page={count - 1}")["calls"])

    def times_called(self):
        """How often the carrier has called each number."""
        calls, url = [], f"{CALLS}?PageSize=1000"
        while url:
            page = self.listed(url)
            calls, url = calls + page["calls"], page["next_page_uri"]
        return collections.Counter(call["to"] for call in calls)


def numbers(count, first=15550200):
    return [f"+{first + i}" for i in range(count)]


def a_call_made_through_the_api_is_answered_by_the_agent_and_on_record():
    with Outbound("--say", "Hello, who is there?", "--greeting-ms", "4000") as system:
        org = system.organisation("A", OURS, greeting="Hello {{name}}, this is the office.")
        token = system.token(org)
        asked = {"to": "+1 555 0177", "from": OURS, "lead": "lead-7", "variables": {"name": "Ada"}, "machine_detection": "detect"}
        status, made = system.make(token, asked, Idempotency_Key="one")
        assert status == 202, made
        assert (made["to"], made["state"], made["requested_by"][:10]) == ("+15550177", "waiting", "api token "), made
        assert system.make(token, asked, Idempotency_Key="one")[1]["id"] == made["id"]
        assert system.make(token, asked | {"lead": "lead-8"}, Idempotency_Key="one")[0] == 422
        call = system.done(made["id"], 60)
        assert call["outcome"] == "completed" and len(call["attempts"]) == 1, call
        attempt = call["attempts"][0]
        assert attempt["answered_by"] == "human" and attempt["asks"] == 1 and attempt["found_by"] in ("answer", "webhook"), call
        row = system.finished(attempt["call_sid"])
        assert (row["direction"], row["from_number"], row["to_number"]) == ("outbound", OURS, "+15550177"), row
        assert row["metadata"]["lead"] == "lead-7" and row["metadata"]["outbound_call"] == call["id"], row
        eventually("every status is on record", lambda: [event["status"] for event in system.sql(
            f"SELECT body ->> 'status' AS status FROM call_events WHERE conversation_id = '{row['id']}' AND kind = 'status' "
            "ORDER BY seq")] == ["initiated", "ringing", "in-progress", "completed"])
        messages = system.messages(row)
        assert any("Ada" in message["content"] for message in messages if message["role"] == "assistant"), messages
        assert any("who is there" in message["content"] for message in messages if message["role"] == "user"), messages
        assert system.times_called() == {"+15550177": 1}


def who_may_not_call_is_told_so():
    with Outbound() as system:
        org = system.organisation("A", OURS)
        system.organisation("B", "+15550101")
        token, viewer = system.token(org), system.token(org, "viewer")
        asked = {"to": "+15550177", "from": OURS, **HANGUP}
        assert system.make(None, asked)[0] == 401 and system.make("nonsense", asked)[0] == 401
        assert system.make(viewer, asked)[0] == 403
        for wrong in (b"{", b"[]", {"from": OURS}, asked | {"from": "+15550101"}, asked | {"to": "5550177"}, asked | {"ring_s": 1},
                      asked | {"step": {"step": "reject"}}, asked | {"unheard": 1}):
            status, problem = system.make(token, wrong)
            assert status in (400, 422) and problem["detail"], (wrong, status, problem)
        keyed = asked | {"idempotency_key": "mine", "to": "+15550176"}
        status, once = system.make(token, keyed)
        status, again = system.make(system.token(org), keyed)  # another token: the key in the body is the organisation's
        assert status == 202 and again["id"] == once["id"], again
        assert system.make(token, keyed | {"lead": "other"})[0] == 422
        assert system.done(once["id"])["outcome"] == "completed"
        system.control("dnc", "add", "+15550177", "--org", org)
        assert system.make(token, asked)[0] == 409
        assert system.batch(org, "x", ["+15550177", "+15550178"], **HANGUP)
        assert system.finished_batch("x")["numbers"] == {"do_not_call": 1, "completed": 1}
        system.control("dnc", "remove", "+15550177", "--org", org)
        assert system.make(token, asked)[0] == 202
        eventually("both were called", lambda: system.times_called() == {"+15550176": 1, "+15550177": 1, "+15550178": 1})
        status, made = system.make(token, {"to": "+15550179", "from": OURS, "twiml": "<Response><Pause/><Hangup/></Response>"})
        assert status == 202 and system.done(made["id"])["outcome"] == "completed"
        assert system.sql("SELECT kind FROM call_events WHERE source = 'edge'") == [], "a step was wanted, or TwiML, and no agent"


def busy_and_no_answer_are_tried_again_and_pause_and_stop_hold():
    with Outbound("--callee", "+15550200=busy,no-answer,answer", "--callee", "+15550201=busy", "--callee",
                  "+15550202=machine", "--callee", "+15550203=fail") as system:
        org = system.organisation("A", OURS)
        system.limits(org, calls_per_minute=6000)
        system.batch(org, "again", numbers(4), retries=2, retry_after_s=1, machine_detection="detect", on_machine="hangup",
                     calls_per_minute=6000, **HANGUP)
        shown = system.finished_batch("again")
        assert shown["numbers"] == {"completed": 2, "busy": 1, "failed": 1}, shown
        assert shown["answered_by"] == {"human": 1, "machine_start": 1}, shown
        assert system.times_called() == {"+15550200": 3, "+15550201": 3, "+15550202": 1, "+15550203": 1}
        system.batch(org, "slow", numbers(50, 15550300), calls_per_minute=60, **HANGUP)
        eventually("it has begun", lambda: system.times_called()["+15550300"] == 1)
        system.control("batch", "pause", "slow")
        eventually("what was released is over", lambda: system.sql(
            "SELECT id FROM call_attempts WHERE state IN ('ready', 'asking', 'made')") == [])
        called = sum(system.times_called().values())
        system.control("batch", "resume", "slow")
        eventually("it goes on", lambda: sum(system.times_called().values()) > called)
        system.control("batch", "stop", "slow")
        eventually("what was released is over", lambda: system.sql(
            "SELECT id FROM outbound_calls WHERE state <> 'done'") == [])
        shown = system.shown("slow")
        assert shown["state"] == "stopped" and shown["numbers"]["stopped"] + shown["numbers"]["completed"] == 50, shown


def wrong_credentials_pause_the_batch_and_burn_no_number():
    with Outbound() as system:
        org = system.organisation("A", OURS)
        system.settings["TWILIO_API_KEY"], system.settings["TWILIO_API_SECRET"] = "SK" + "0" * 32, "wrong"
        system.stop("control")
        system.start_control()
        system.batch(org, "burn", numbers(5), **HANGUP)
        shown = eventually("it is paused", lambda: (it := system.shown("burn"))["state"] == "paused" and it)
        assert "401" in shown["reason"] and shown["numbers"].keys() <= {"waiting", "calling"}, shown
        del system.settings["TWILIO_API_KEY"], system.settings["TWILIO_API_SECRET"]
        system.stop("control")
        system.start_control()
        eventually("nothing is under way", lambda: system.shown("burn")["numbers"] == {"waiting": 5})
        system.control("batch", "resume", "burn")
        assert system.finished_batch("burn")["numbers"] == {"completed": 5}
        assert set(system.times_called().values()) == {1}


if __name__ == "__main__":
    run(a_call_made_through_the_api_is_answered_by_the_agent_and_on_record, who_may_not_call_is_told_so,
        busy_and_no_answer_are_tried_again_and_pause_and_stop_hold, wrong_credentials_pause_the_batch_and_burn_no_number)
