"""An AI session that breaks, stalls or grows old is replaced, and the conversation goes on: with what was said so far, and
without a word of the caller's lost."""
import json
import signal
import urllib.request
from concurrent import futures

from system import System, eventually, run

STORY = "This is a long story about a little ship. " * 6


def misbehave(system, name, count=1):
    body = json.dumps({"name": name, "count": count}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{system.ai_port}/practice/misbehave", body, timeout=10).read()


def sessions(system):
    return json.load(urllib.request.urlopen(f"http://127.0.0.1:{system.ai_port}/practice/sessions", timeout=10))


def events(system, row, kind):
    return [event["body"] for event in system.sql(
        f"SELECT body FROM call_events WHERE conversation_id = '{row['id']}' AND kind = '{kind}' ORDER BY seq")]


def goes_on(audio_format, trouble, losses):
    with System().record_dialogue() as system:
        system.organisation("A", "+15550100", audio_format=audio_format, greeting="Hello, how can I help you?")
        misbehave(system, trouble, losses)
        report = system.call(say=["Hello, are you there?", "Thank you, that was all."])
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "caller_hung_up", row["ended_reason"]
        lost, resumed = events(system, row, "ai_lost"), events(system, row, "ai_resumed")
        print(f"  {audio_format}, {trouble}: lost {[event['reason'] for event in lost]}, "
              f"gaps {[event['gap_ms'] for event in resumed]} ms, items {[event['items'] for event in resumed]}, "
              f"replayed {[event['replayed_ms'] for event in resumed]} ms")
        assert len(lost) == losses == len(resumed), (lost, resumed)
        assert resumed[-1]["items"] > 0, resumed  # it was told what had been said
        assert len({event["session_id"] for event in resumed}) == losses
        roles = [message["role"] for message in system.messages(row)]
        assert roles.count("user") >= 2, roles  # both of the caller's sentences were understood
        assert roles[-1] == "assistant" or "assistant" in roles[roles.index("user"):], roles
        assert system.metric('ringbridge_ai_sessions_total{event="resumed"}') == losses
        assert sessions(system)["ended"]["errors"] == 0, sessions(system)  # nothing of what it was told was wrong
        system.judge_dialogue()


def a_session_that_breaks_is_replaced():
    goes_on("pcmu", "drop", 1)


def and_so_is_the_next_one():
    goes_on("pcm", "close", 2)


def one_that_always_breaks_ends_the_call():
    with System() as system:
        system.organisation("A", "+15550100", model="practice-drop")
        report = system.call("--hangup-after", "16000", hint=False, check=False)
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "ai_lost", row["ended_reason"]
        assert 2 <= len(events(system, row, "ai_lost")) <= 4


def an_ai_that_stays_away_ends_the_call_with_the_first_cause():
    with System() as system:
        system.organisation("A", "+15550100", greeting=STORY)
        with futures.ThreadPoolExecutor() as pool:
            call = pool.submit(system.call, "--hangup-after", "25000", hint=False, check=False)
            eventually("the agent speaks", lambda: system.metric(
                'ringbridge_frames_total{leg="carrier",direction="out"}') > 3)
            system.stop("ai", signal.SIGKILL)
            report = call.result()
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "ai_lost", row["ended_reason"]
        assert len(events(system, row, "ai_lost")) == 1 and events(system, row, "ai_resumed") == []
        assert system.metric('ringbridge_ai_sessions_total{event="given_up"}') == 1
        system.start_ai()


def an_old_session_is_renewed_in_a_pause():
    with System(ai_arguments=["--session-seconds", "12"]) as system:
        system.organisation("A", "+15550100", greeting="Hello.")
        report = system.call("--hangup-after", "21000", hint=False)
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "caller_hung_up", row["ended_reason"]
        renewed = events(system, row, "ai_renewed")
        print(f"  renewed {len(renewed)} times, gaps {[event['gap_ms'] for event in renewed]} ms")
        assert len(renewed) >= 1 and events(system, row, "ai_lost") == []
        assert all(event["replayed_ms"] <= 500 and event["gap_ms"] == 0 for event in renewed)
        # Each sample of the caller's has gone to one session, and the last half second before a
        # renewal to the next as well.
        given = sessions(system)["ended"]["append_bytes"]
        taken = row["figures"]["bytes_up"] + row["figures"]["gap_samples"]
        again = sum(event["replayed_ms"] for event in renewed) * 8
        assert given == taken + again, (given, taken, again)


def an_ai_that_does_not_answer_is_asked_again_then_replaced():
    with System() as system:
        system.organisation("A", "+15550100", greeting="")
        misbehave(system, "silent")
        report = system.call("--patience-ms", "30000", say=["Hello, are you there?"])
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "caller_hung_up", row["ended_reason"]
        assert [event["reason"] for event in events(system, row, "ai_lost")] == ["ai_silent"]
        assert system.metric("ringbridge_ai_nudges_total") == 1
        assert "assistant" in [message["role"] for message in system.messages(row)]


def one_that_never_answers_ends_the_call():
    with System() as system:
        system.organisation("A", "+15550100", greeting="", model="practice-silent")
        report = system.call("--patience-ms", "40000", "--call-max", "60000", say=["Hello, are you there?"], hint=False,
                             check=False)
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "ai_silent", row["ended_reason"]


if __name__ == "__main__":
    run(a_session_that_breaks_is_replaced, and_so_is_the_next_one, one_that_always_breaks_ends_the_call,
        an_ai_that_stays_away_ends_the_call_with_the_first_cause, an_old_session_is_renewed_in_a_pause,
        an_ai_that_does_not_answer_is_asked_again_then_replaced, one_that_never_answers_ends_the_call)
