"""After a call: one e-mail, one signed webhook, one post to Slack, whatever is repeated, late, slow or dies."""
import email
import email.policy
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
import urllib.request
from html.parser import HTMLParser

from media import Carrier, change, incoming, recorded, wav
from system import ACCOUNT, BIN, ROOT, System, eventually, free_port, run


class Office(System):
    """The system with everything around it that is asked or told after a call."""

    def __init__(self, by_smtp=False, **more):
        super().__init__(**more)
        self.by_smtp, self.office_port, self.smtp_port = by_smtp, free_port(), free_port()

    def start_ai(self):
        smtp = ["--smtp", f"127.0.0.1:{self.smtp_port}"] if self.by_smtp else []
        self.start("office", "/usr/bin/python3", ROOT / "tests/practice/office.py", "--listen", f"127.0.0.1:{self.office_port}",
                   *smtp)
        eventually("the office is ready", lambda: "ready" in self.log("office"))
        super().start_ai()

    def stop(self, name, how=signal.SIGTERM, seconds=30):
        problem = super().stop(name, how, seconds)
        return None if name == "office" and problem == "office ended with status -15" else problem

    def environment(self, **more):
        base = f"http://127.0.0.1:{self.office_port}"
        mail = {"SMTP_URL": f"smtp://127.0.0.1:{self.smtp_port}"} if self.by_smtp else {
            "RESEND_API_KEY": "re_practice", "RESEND_BASE_URL": base}
        return super().environment() | mail | {
            "OPENAI_BASE_URL": base + "/v1", "EMAIL_FROM": "Calls of A <calls@example.com>", "RINGBRIDGE_JOB_WORKERS": "4",
            "RINGBRIDGE_ALLOW_PRIVATE": f"127.0.0.1:{self.office_port}"} | self.settings | more

    def seen(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.office_port}/seen", timeout=20) as answer:
            return json.load(answer)

    def mood(self, **moods):
        """mood(emails=["500"]): how the next requests go wrong; __ stands for a slash."""
        body = {("" if name == "smtp" else "/") + name.replace("__", "/"): queue for name, queue in moods.items()}
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.office_port}/mood",
                                                      json.dumps(body).encode()), timeout=20).close()

    def office(self, *settings, webhook=True, slack=True, name="A", number="+15550100", **choices):
        """An organisation that wants everything; its id and its webhook's secret."""
        org = self.organisation(name, number, **choices)
        base, secret = f"http://127.0.0.1:{self.office_port}", None
        self.control("after", "set", "--org", org, "email_to=office@example.com,boss@example.com", *settings)
        if webhook:
            said = self.control("endpoint", "add", f"{base}/hooks/{name}", "--org", org)
            self.endpoint, secret = said.split()[0], said.split()[2]
        if slack:
            subprocess.run([BIN / "ringbridge-control", "endpoint", "add", "slack", "--org", org], text=True, check=True,
                           input=f"{base}/slack/{name}\n", env=self.environment(), capture_output=True)
        return org, secret

    def judge_hooks(self, secret):
        """Signatures checked by node's own crypto, with nothing of ours. The bodies."""
        hooks = self.seen()["hooks"]
        done = subprocess.run(["node", ROOT / "tests/e2e/webhook_judge.mjs", secret], text=True, capture_output=True,
                              input=json.dumps(hooks))
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(hook["body"]) for hook in hooks]

    def all_sent(self, count, hurried=False):
        """Waits until so many deliveries are sent and none waits."""
        def look():
            if hurried:
                hurry(self)  # pauses grow with every try
            rows = self.sql("SELECT count(*) AS all, count(sent_at) AS sent FROM deliveries")[0]
            return rows["all"] == rows["sent"] == count
        eventually(f"{count} deliveries are sent", look, 90)

    def deliveries(self):
        return self.sql("SELECT d.*, j.state AS job, j.last_error FROM deliveries AS d LEFT JOIN jobs AS j ON "
                        "j.idempotency_key = d.id::text ORDER BY d.created_at")


def hurry(system):
    """What waits for a pause to end is due; what somebody is at stays his."""
    change(system, "UPDATE jobs SET due_at = now() WHERE state = 'queued' AND due_at > now()")


class Words(HTMLParser):
    """The visible words of a page, by Python's own parser."""

    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        self.words.append(data)


def words_of(html):
    parser = Words()
    parser.feed(html)
    return " ".join(" ".join(parser.words).split())


def a_call_is_told_once():
    with Office() as system:
        _, secret = system.office()
        report = system.call("--misbehave", "status-doubled", say=["My boiler says <E7> & \"hot\".", "Please call me back."])
        sid = report["calls"][0]["call_sid"]
        system.finished(sid)
        system.all_sent(3)
        seen = system.seen()
        assert len(seen["emails"]) == 1 and not seen["refused"], seen
        mail = next(iter(seen["emails"].values()))
        assert mail["requests"] == 1 and mail["body"]["to"] == ["office@example.com", "boss@example.com"], mail
        assert mail["body"]["from"] == "Calls of A <calls@example.com>", mail
        page, text = words_of(mail["body"]["html"]), mail["body"]["text"]
        for words in (page, text):
            assert 'My boiler says <E7> & "hot".' in words and "Please call me back." in words, words
            assert "About: My boiler says" in words, words
        assert "<E7>" not in mail["body"]["html"]
        assert "\n" not in mail["body"]["subject"] and "+15550177" in mail["body"]["subject"], mail["body"]["subject"]
        bodies = system.judge_hooks(secret)
        assert len(bodies) == 1 and bodies[0]["type"] == "call.completed", bodies
        data = bodies[0]["data"]
        assert data["call"]["call_sid"] == sid and data["complete"] is True and data["after"]["state"] == "summed_up", data
        assert [line["text"] for line in data["messages"] if line["role"] == "user"] == [
            'My boiler says <E7> & "hot".', "Please call me back."], data["messages"]
        assert "settings" not in data and "endpoints" not in data
        assert len(seen["slack"]) == 1 and "&lt;E7&gt; &amp;" in seen["slack"][0]["text"], seen["slack"]
        row = system.sql("SELECT * FROM after_calls")[0]
        assert row["state"] == "summed_up" and row["complete"] and row["input_tokens"] > 0, row
        shown = system.control("template", "preview", "text", "--call", sid)
        assert shown == text, shown
        # What comes later tells nobody again, even when the job is long forgotten.
        change(system, "DELETE FROM jobs")
        call = system.conversation(sid)
        status, _ = system.post("/api/twilio/status-callback", {
            "CallSid": sid, "AccountSid": ACCOUNT, "From": call["from_number"], "To": call["to_number"],
            "Direction": "inbound", "CallStatus": "completed", "CallDuration": "99", "SequenceNumber": "77"})
        assert status in (200, 204), status
        assert system.sql("SELECT count(*) AS n FROM jobs")[0]["n"] == 0


def the_ai_that_sums_up_is_down():
    with Office() as system:
        system.office("summary_wait_s=3", webhook=False, slack=False)
        system.mood(v1__responses=["500", "always"])
        system.call(say=["Is anybody there?"])
        system.all_sent(1)
        mail = next(iter(system.seen()["emails"].values()))["body"]
        assert "There is no summary" in mail["text"] and "There is no summary" in words_of(mail["html"]), mail["text"]
        assert "Is anybody there?" in mail["text"]
        row = system.sql("SELECT state, error FROM after_calls")[0]
        assert row["state"] == "failed" and "500" in row["error"], row


def the_ai_that_sums_up_is_moody():
    with Office() as system:
        system.office(webhook=False, slack=False)
        system.mood(v1__responses=["429", "garbage", "gone", "incomplete", "other"])
        system.call(say=["Hello, it is me."])
        system.all_sent(1)
        assert "About: Hello, it is me." in next(iter(system.seen()["emails"].values()))["body"]["text"]
        assert system.sql("SELECT state FROM after_calls")[0]["state"] == "summed_up"


def reports_that_are_missing_are_waited_for():
    with Office() as system:
        system.office("wait_s=4", webhook=False, slack=False)
        system.call("--misbehave", "status-late", say=["The carrier is late."])
        system.all_sent(1)
        system.call("--misbehave", "status-lost", "--hangup-after", "1500", hint=False)
        system.all_sent(2)
        told = system.sql("SELECT complete FROM after_calls ORDER BY created_at")
        assert told == [{"complete": True}, {"complete": False}], told
        mails = [mail["body"]["text"] for mail in system.seen()["emails"].values()]
        assert sum("Some reports about this call were missing" in text for text in mails) == 1, mails


def receivers_in_every_mood():
    with Office() as system:
        _, secret = system.office()
        system.mood(emails=["500", "lost", "409", "429"], hooks__A=["500", "lost", "404"], slack__A=["503"])
        system.call(say=["Try again."])
        system.all_sent(3, hurried=True)
        seen = system.seen()
        assert len(seen["emails"]) == 1, seen["emails"]
        mail = next(iter(seen["emails"].values()))
        assert mail["requests"] == 2 and "other_bodies" not in mail, mail  # the lost one, and the last
        bodies = system.judge_hooks(secret)
        assert len(bodies) == 4 and len({json.dumps(body) for body in bodies}) == 1, bodies
        assert len({hook["headers"]["webhook-id"] for hook in seen["hooks"]}) == 1
        assert len(seen["slack"]) == 1
        # Given up for good, and sent again by hand under the same id.
        system.mood(hooks__A=["410"])
        system.call(say=["You are gone."])
        eventually("the endpoint is out of use", lambda: system.sql("SELECT disabled_reason FROM endpoints WHERE kind = "
                                                                    "'webhook' AND disabled_at IS NOT NULL"))
        dead = [row for row in system.deliveries() if row["job"] == "dead"]
        assert len(dead) == 1 and "410" in dead[0]["last_error"], dead
        assert "dead" in system.control("deliveries", "list", "dead")
        change(system, "UPDATE endpoints SET disabled_at = NULL, disabled_reason = NULL")
        assert system.control("endpoint", "replay", system.endpoint).startswith("1 ")
        system.all_sent(6, hurried=True)
        ids = [hook["headers"]["webhook-id"] for hook in system.seen()["hooks"] if hook["mood"] != "410"]
        assert ids.count(dead[0]["id"]) == 1, ids


def by_smtp():
    with Office(by_smtp=True) as system:
        system.office(webhook=False, slack=False)
        system.control("after", "set", "--org", "A", "email_reply_to=answers@example.com", "language=de",
                       "email_from=Büro Müller <buero@example.com>")
        system.mood(smtp=["451", "lost"])
        system.call(say=["Grüße, this is a test."])
        system.all_sent(1, hurried=True)
        mails = [email.message_from_string(mail["content"], policy=email.policy.default) for mail in system.seen()["mails"]]
        assert len(mails) == 2 and len({mail["Message-ID"] for mail in mails}) == 1, mails  # the lost one counts
        row = system.deliveries()[0]
        assert row["maybe_twice"] and f"after-{row['id']}" in mails[0]["Message-ID"], row
        mail = mails[-1]
        assert not mail.defects and mail["From"].addresses[0].display_name == "Büro Müller", mail["From"]
        assert mail["From"].addresses[0].addr_spec == "buero@example.com" and mail["Reply-To"] == "answers@example.com"
        assert [address.addr_spec for address in mail["To"].addresses] == ["office@example.com", "boss@example.com"]
        assert mail["Date"].datetime and mail.get_content_type() == "multipart/alternative"
        text, html = [part.get_content() for part in mail.iter_parts()]
        assert "Zusammenfassung" in text and "Grüße, this is a test." in text, text
        assert "Grüße, this is a test." in words_of(html)
        assert mail["Subject"].startswith("Anruf von +15550177"), mail["Subject"]
        assert system.seen()["mails"][0]["from"] == "buero@example.com"


def a_message_is_written_down_and_told():
    with Carrier() as carrier, Office() as system:
        system.settings["TWILIO_API_BASE"] = carrier.base
        system.settings["RINGBRIDGE_ALLOW_PRIVATE"] = f"localhost,127.0.0.1:{system.office_port}"
        system.stop("control")
        system.start_control()
        _, secret = system.office("wait_s=3")
        system.mood(v1__audio__transcriptions=["500", "garbage"])
        sound, short = carrier.add(1, wav(3)), carrier.add(2, wav(0.5))
        incoming(system, 1)
        recorded(system, 1, sound)
        recorded(system, 1, sound)
        eventually("it is written down", lambda: hurry(system) or system.sql(
            "SELECT summary FROM voicemails WHERE transcription IS NOT NULL AND summary IS NOT NULL"), 60)
        system.all_sent(3)
        incoming(system, 2)
        recorded(system, 2, short, seconds=0)
        eventually("the short one is told, too", lambda: hurry(system) or system.sql(
            "SELECT id FROM deliveries WHERE event = 'voicemail.received'").__len__() == 6, 60)
        system.all_sent(6)
        seen = system.seen()
        assert len(seen["transcriptions"]) == 1 and seen["transcriptions"][0]["bytes"] == len(wav(3)), seen["transcriptions"]
        words = f"Please call me back, this is a message of {len(wav(3))} bytes."
        texts = [mail["body"]["text"] for mail in seen["emails"].values()]
        assert len(texts) == 2 and words in texts[0] and f"About: {words}" not in texts[1], texts
        assert "too little to write down" in texts[1], texts
        assert "Voicemail from +15550199" in texts[0], texts
        link = re.search(r"Recording: https://calls.example.com(/media/\S+)", texts[0])[1]
        assert system.sql("SELECT what FROM recording_accesses ORDER BY created_at")[0]["what"] == "link"
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{system.listen}{link}",
                                                           headers={"Range": "bytes=0-99"}), timeout=20) as answer:
            assert answer.status == 206 and answer.read() == wav(3)[:100]
        bodies = system.judge_hooks(secret)
        assert [body["type"] for body in bodies] == ["voicemail.received"] * 2, bodies
        assert bodies[0]["data"]["voicemail"]["transcription"] == words, bodies[0]
        # The call itself sends no second e-mail; its webhook comes all the same.
        for number in (1, 2):
            system.post("/api/twilio/status-callback", {
                "CallSid": f"CA{number:032x}", "AccountSid": ACCOUNT, "From": "+15550199", "To": "+15550100",
                "Direction": "inbound", "CallStatus": "completed", "CallDuration": "9", "SequenceNumber": "3"})
        eventually("the calls are done with", lambda: hurry(system) or system.sql(
            "SELECT count(*) AS n FROM after_calls")[0]["n"] == 2, 60)
        system.all_sent(10)
        assert len(system.seen()["emails"]) == 2


def every_recording_is_there_once(system):
    """One row and one file, as long as the row says, for each that was begun, and nothing left in the spool; how many."""
    eventually("the spool is empty", lambda: hurry(system) or not list(system.spool.iterdir()), 120)
    rows = system.sql("SELECT conversation_id, path, bytes FROM recordings")
    begun = system.sql("SELECT conversation_id FROM call_events WHERE kind = 'recording_started'")
    assert sorted(row["conversation_id"] for row in rows) == sorted(row["conversation_id"] for row in begun), (rows, begun)
    files = {str(path.relative_to(system.media)): path.stat().st_size for path in system.media.rglob("*") if path.is_file()}
    assert files == {row["path"]: row["bytes"] for row in rows}
    return len(rows)


def control_is_killed_a_hundred_times():
    """Recorded calls end while control dies again and again: of everything there is exactly one. RINGBRIDGE_KILLS asks for
    more deaths than a run of all tests has time for, in as many half seconds."""
    wanted = int(os.environ.get("RINGBRIDGE_KILLS", "120"))
    kills, lives = 0, random.Random(7)
    with Office() as system:
        system.office("wait_s=10", record="true")
        system.mood(emails=["lost", "500"] * 20, hooks__A=["lost", "500"] * 20, v1__responses=["500", "gone"] * 10)
        done, reports = threading.Event(), []

        def caller():
            while not done.is_set():
                reports.append(system.call("--calls", "4", "--rate", "8", "--hangup-after", "700", "--quiet", hint=False,
                                           check=False))
        thread = threading.Thread(target=caller)
        thread.start()
        deadline = time.monotonic() + 75 * wanted / 120
        while kills < min(wanted, 50) or (kills < wanted and time.monotonic() < deadline):
            time.sleep(lives.uniform(0.02, 0.9))  # how long this life lasts
            problem = system.stop("control", signal.SIGKILL)
            assert problem is None, problem
            kills += 1
            system.start_control()
        done.set()
        thread.join()
        while len(calls := system.sql("SELECT id FROM conversations")) <= 10:  # a slow machine has placed few: what goes
            system.call("--calls", "4", "--rate", "8", "--hangup-after", "700", "--quiet", hint=False)  # wrong is for more
        eventually("every call is done with", lambda: hurry(system) or
                   system.sql("SELECT count(*) AS n FROM after_calls")[0]["n"] == len(calls), 120)
        system.all_sent(3 * len(calls), hurried=True)
        seen, per_call = system.seen(), {}
        for row in system.deliveries():
            per_call.setdefault(row["conversation_id"], []).append(row["kind"])
        assert all(sorted(kinds) == ["email", "slack", "webhook"] for kinds in per_call.values()), per_call
        assert len(per_call) == len(calls) > 10, (len(per_call), len(calls))
        told = {row["id"]: row["kind"] for row in system.deliveries()}
        assert sorted(seen["emails"]) == sorted(f"after-{id}" for id, kind in told.items() if kind == "email")
        assert not [mail for mail in seen["emails"].values() if "other_bodies" in mail]
        bodies = {}
        for hook in seen["hooks"]:
            bodies.setdefault(hook["headers"]["webhook-id"], set()).add(hook["body"])
        assert sorted(bodies) == sorted(id for id, kind in told.items() if kind == "webhook")
        assert all(len(same) == 1 for same in bodies.values())
        twice = system.sql("SELECT count(*) AS n FROM deliveries WHERE kind = 'slack' AND maybe_twice")[0]["n"]
        assert len(calls) <= len(seen["slack"]) <= len(calls) + twice, (len(calls), len(seen["slack"]), twice)
        recordings = every_recording_is_there_once(system)
        assert recordings > 10, recordings
        again = sum(mail["requests"] - 1 for mail in seen["emails"].values())
        print(f"{kills} kills, {len(calls)} calls, {len(seen['emails'])} e-mails ({again} requests more), "
              f"{len(bodies)} webhooks ({len(seen['hooks']) - len(bodies)} repeated), {len(seen['slack'])} in Slack "
              f"({twice} perhaps twice), {recordings} recordings", flush=True)
        assert kills >= 50, kills


if __name__ == "__main__":
    run(a_call_is_told_once, the_ai_that_sums_up_is_down, the_ai_that_sums_up_is_moody,
        reports_that_are_missing_are_waited_for, receivers_in_every_mood, by_smtp,
        a_message_is_written_down_and_told, control_is_killed_a_hundred_times)
