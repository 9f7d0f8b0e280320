"""Control dies in the middle of calls: no call ends, no transcript is lost, nothing is stored twice."""
import signal
import threading
import time

from system import System, eventually, run


def control_is_killed_in_the_middle():
    with System() as system:
        system.organisation("A", "+15550100")
        reports = []
        said = ["The first thing I say.", "The second thing I say.", "The third thing I say."]
        caller = threading.Thread(target=lambda: reports.append(system.call(say=said)))
        caller.start()
        eventually("the call is live", lambda: system.metric('ringbridge_calls{state="live"}') == 1)
        for _ in range(3):
            system.stop("control", signal.SIGKILL)
            time.sleep(1.5)  # the outage itself
            system.start_control()
            eventually("the link is back", lambda: system.metric("ringbridge_link_up") == 1)
            time.sleep(1)  # some time with control between two outages
        caller.join()
        row = system.finished(reports[0]["calls"][0]["call_sid"])
        assert row["ended_reason"] == "caller_hung_up", row
        events = system.sql(f"SELECT seq FROM call_events WHERE conversation_id = '{row['id']}' AND source = 'edge' ORDER BY seq")
        first = events[0]["seq"]
        assert [event["seq"] for event in events] == list(range(first, first + len(events))), events
        heard = [message["content"] for message in system.messages(row) if message["role"] == "user"]
        assert heard == said, heard


def the_call_ends_while_control_is_away():
    with System() as system:
        system.organisation("A", "+15550100")
        reports = []
        caller = threading.Thread(target=lambda: reports.append(system.call("--hangup-after", "5000", hint=False)))
        caller.start()
        eventually("the call is live", lambda: system.metric('ringbridge_calls{state="live"}') == 1)
        system.stop("control", signal.SIGKILL)
        eventually("the call has ended", lambda: system.metric('ringbridge_calls_ended_total{reason="caller_hung_up"}') == 1)
        assert system.metric("ringbridge_link_events_waiting") >= 1
        system.start_control()
        eventually("nothing waits", lambda: system.metric("ringbridge_link_events_waiting") == 0 and
                   system.metric("ringbridge_link_up") == 1)
        caller.join()
        row = system.sql("SELECT * FROM conversations")[0]
        assert row["ended_reason"] == "caller_hung_up", row


def a_new_call_while_control_is_away_hears_words():
    with System() as system:
        system.organisation("A", "+15550100")
        system.stop("control", signal.SIGKILL)
        fields = {"CallSid": "CA" + "1" * 32, "From": "+15550177", "To": "+15550100"}
        status, twiml = system.post("/api/twilio/incoming-call", fields)
        assert status == 200 and "<Say>" in twiml and "<Redirect" in twiml, (status, twiml)
        status, _ = system.post("/api/twilio/status-callback", fields)
        assert status == 503, status
        system.start_control()
        eventually("the link is back", lambda: system.metric("ringbridge_link_up") == 1)
        report = system.call("--hangup-after", "2000", hint=False)
        assert system.finished(report["calls"][0]["call_sid"])["ended_reason"] == "caller_hung_up"


def the_database_restarts_in_the_middle():
    import subprocess
    from system import ROOT
    import os
    with System() as system:
        system.organisation("A", "+15550100")
        reports = []
        caller = threading.Thread(target=lambda: reports.append(system.call("--hangup-after", "9000", hint=False)))
        caller.start()
        eventually("the call is live", lambda: system.metric('ringbridge_calls{state="live"}') == 1)
        pg = ROOT / "tests/control/pg.sh"
        subprocess.run([pg, "stop", system.directory / "pg"], check=True, capture_output=True)
        time.sleep(1)
        subprocess.run([pg, "start", system.directory / "pg"], check=True, capture_output=True,
                       env=os.environ | {"PG_FSYNC": "off"})
        caller.join()
        row = system.finished(reports[0]["calls"][0]["call_sid"])
        assert row["ended_reason"] == "caller_hung_up", row


if __name__ == "__main__":
    run(control_is_killed_in_the_middle, the_call_ends_while_control_is_away,
        a_new_call_while_control_is_away_hears_words, the_database_restarts_in_the_middle)
