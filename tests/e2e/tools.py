"""Functions that agents call in whole calls: an organisation's own over HTTP, side by side, slow and broken ones, and
those that are built in."""
import http.server
import json
import signal
import tempfile
import threading

from system import System, eventually, run

RULES = [
    {"when": "tool", "say": "That is done."},
    {"when": "text", "say": "Thank you for waiting."},
    {"contains": "the sky", "calls": [{"name": "weather", "arguments": {"town": "Oslo"}},
                                      {"name": "broken", "arguments": {}},
                                      {"name": "weather", "arguments": {"town": 7}}]},
    {"contains": "your time", "say": "One moment.", "call": {"name": "slow"}},
    {"contains": "goodbye", "say": "Goodbye, and thank you for calling us today.", "call": {"name": "end_call"}},
    {"contains": "secret number", "say": "Please type it.",
     "call": {"name": "collect_digits", "arguments": {"digits_max": 4, "timeout_s": 20}}},
    {"contains": "sales", "say": "I connect you now.", "call": {"name": "transfer", "arguments": {"to": "sales"}}},
    {"contains": "appointment", "call": {"name": "book_appointment",
                                         "arguments": {"start": "2099-01-05T09:30", "name": "Ms Example"}}},
    {"say": "Hello."},
]


class Office(http.server.ThreadingHTTPServer):
    """An organisation's own system."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), OfficeHandler)
        self.asked, self.go_on = [], threading.Event()
        self.url = f"http://localhost:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class OfficeHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        if self.path == "/slow":
            self.server.go_on.wait(60)
        body = json.dumps({"sky": "blue", "town": asked["arguments"].get("town")}).encode()
        try:
            self.send_response(500 if self.path == "/broken" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # who asked has died


class Agency(System):
    """The whole system with an office, a script for the AI, and the organisation's tools."""

    def __init__(self):
        self.script = tempfile.NamedTemporaryFile("w", prefix="rb-script-", suffix=".json")
        json.dump({"rules": RULES}, self.script)
        self.script.flush()
        self.office = Office()
        super().__init__(ai_arguments=["--script", self.script.name])
        self.record_dialogue()

    def __enter__(self):
        super().__enter__()
        self.org = self.organisation("A", "+15550100", greeting="")
        for name, more in (("weather", {"interim_ms": 0, "parameters": {
                "type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}}),
                           ("broken", {}), ("slow", {"interim_ms": 500, "timeout_ms": 60000, "deadline_ms": 60000})):
            self.control("tool", "add", name, json.dumps(
                {"description": f"Asks for {name}.", "method": "POST", "url": f"{self.office.url}/{name}", **more}),
                "--org", self.org)
        for name in ("end_call", "collect_digits", "book_appointment"):
            self.control("tool", "add", name, "--org", self.org)
        self.control("tool", "add", "transfer", json.dumps({"to": {"sales": {"step": "dial", "to": "+15550101"}}}),
                     "--org", self.org)
        return self

    def environment(self, **more):
        return super().environment(RINGBRIDGE_ALLOW_PRIVATE=self.office.url.split("/")[2], **more)

    def functions(self, call_sid=None):
        """Each call of a function, once it has ended and the AI was told."""
        rows = self.sql("SELECT t.*, c.call_sid FROM tool_calls AS t JOIN conversations AS c ON c.id = t.conversation_id "
                        "ORDER BY number")
        return [row for row in rows if row["finished_at"] and (not call_sid or row["call_sid"] == call_sid)]

    def told(self, piece):
        """How often the AI was told something with this in it."""
        with open(self.dialogue.name) as file:
            return sum(piece in line for line in file if '"client"' in line)

    def call_in_background(self, *flags, **more):
        reports = []
        caller = threading.Thread(target=lambda: reports.append(self.call(*flags, check=False, **more)))
        caller.start()
        return caller, reports


def several_at_once_and_their_errors():
    with Agency() as system:
        report = system.call("--hangup-after", "12000", say=["How is the sky?"], check=False)
        call_sid = report["calls"][0]["call_sid"]
        good, broken, wrong = eventually("three ended", lambda: len(rows := system.functions(call_sid)) == 3 and rows)
        assert good["state"] == "done" and good["output"]["result"] == {"sky": "blue", "town": "Oslo"}, good
        assert broken["state"] == "failed" and "problem" in broken["output"]["error"], broken
        assert wrong["state"] == "failed" and "town must be of type string" in wrong["output"]["error"], wrong
        assert all(row["told_at"] and row["tries"] == 1 for row in (good, broken, wrong))
        assert len(system.office.asked) == 2, system.office.asked  # what does not fit the schema is not asked
        asked = next(one for one in system.office.asked if one["tool"] == "weather")
        assert asked["call"] == good["id"] and asked["from"] == "+15550177" and asked["channel"] == "voice", asked
        row = system.finished(call_sid)
        said = [message["content"] for message in system.messages(row) if message["role"] == "assistant"]
        assert said == ["That is done."], said  # three results, one answer
        assert system.told("function_call_output") == 3
        shown = json.loads(system.control("tool", "calls", call_sid, "--json"))
        assert {one["name"] for one in shown} == {"weather", "broken"} and len(shown) == 3, shown
        system.judge_dialogue()


def what_takes_long_is_talked_over():
    with Agency() as system:
        caller, reports = system.call_in_background("--hangup-after", "25000", say=["Take your time."])
        eventually("the AI knows that it takes longer", lambda: system.told("running"))
        assert system.functions() == []
        system.office.go_on.set()
        eventually("the result follows as a message", lambda: system.told("that you called earlier has come back"))
        (slow,) = eventually("it is on record", lambda: (rows := system.functions()) and rows[0]["told_at"] and rows)
        assert slow["state"] == "done" and slow["output"]["result"]["sky"] == "blue", slow
        caller.join()
        row = system.finished(reports[0]["calls"][0]["call_sid"])
        said = [message["content"] for message in system.messages(row) if message["role"] == "assistant"]
        assert said[:2] == ["One moment.", "That is done."] and len(said) == 3, said  # and upon the message
        system.judge_dialogue()


def the_agent_hangs_up_when_its_goodbye_was_heard():
    with Agency() as system:
        report = system.call("--hangup-after", "60000", say=["Goodbye."], check=False)
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "agent_hung_up", row
        (goodbye,) = system.sql("SELECT * FROM conversation_messages WHERE role = 'assistant'")
        assert not goodbye["interrupted"] and goodbye["heard_ms"] == goodbye["audio_ms"] > 1000, goodbye
        (function,) = system.functions()
        assert function["name"] == "end_call" and function["at_edge"] and function["state"] == "done", function
        assert report["calls"][0]["verbs"] == ["Connect", "Redirect", "Hangup"], report["calls"][0]["verbs"]


def keys_are_collected():
    with Agency() as system:
        report = system.call("--hangup-after", "30000", "--say", "Here is my secret number.", "--dtmf", "4711", check=False)
        (function,) = eventually("it ended", lambda: system.functions(report["calls"][0]["call_sid"]))
        assert function["output"] == {"ok": True, "digits": "4711", "ended_by": "length"}, function
        assert system.told("4711")


def a_caller_is_connected():
    with Agency() as system:
        report = system.call("--hangup-after", "60000", say=["To sales, please."], check=False)
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "transferred", row
        (said,) = system.sql("SELECT * FROM conversation_messages WHERE role = 'assistant'")
        assert said["content"] == "I connect you now." and said["heard_ms"] == said["audio_ms"], said
        assert report["calls"][0]["verbs"][:3] == ["Connect", "Redirect", "Dial"], report["calls"][0]["verbs"]


def two_callers_want_one_slot():
    with Agency() as system:
        system.control("appointment", "open", "--org", system.org, "--hours", "daily 09:00-12:00", "--time-zone",
                       "Europe/Berlin")
        callers = [system.call_in_background("--hangup-after", "12000", say=["An appointment, please."])[0]
                   for _ in range(2)]
        for caller in callers:
            caller.join()
        both = eventually("both ended", lambda: len(rows := system.functions()) == 2 and rows)
        assert sorted(row["state"] for row in both) == ["done", "failed"], both
        assert "Somebody else has this time" in next(
            row["output"]["error"] for row in both if row["state"] == "failed"), both
        (booked,) = json.loads(system.control("appointment", "list", "--json"))
        assert booked["name"] == "Ms Example" and booked["phone"] == "+15550177", booked


def control_dies_in_the_middle():
    """Whether the request was carried out is not known then, so it is not repeated, and the AI learns that."""
    with Agency() as system:
        caller, reports = system.call_in_background("--hangup-after", "40000", say=["Take your time."])
        eventually("the office is asked", lambda: system.office.asked)
        system.stop("control", signal.SIGKILL)
        system.start_control()
        (slow,) = eventually("the AI is told", lambda: (rows := system.functions()) and rows[0]["told_at"] and rows, 30)
        assert slow["state"] == "failed" and "not known whether" in slow["output"]["error"], slow
        assert len(system.office.asked) == 1, system.office.asked
        eventually("it is with the AI", lambda: system.told("not known whether"))
        system.office.go_on.set()
        caller.join()
        assert system.finished(reports[0]["calls"][0]["call_sid"])["ended_reason"] == "caller_hung_up"


if __name__ == "__main__":
    run(several_at_once_and_their_errors, what_takes_long_is_talked_over, the_agent_hangs_up_when_its_goodbye_was_heard,
        keys_are_collected, a_caller_is_connected, two_callers_want_one_slot, control_dies_in_the_middle)
