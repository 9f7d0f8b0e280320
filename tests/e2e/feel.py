"""How a call feels: who may interrupt whom, the greeting at frame one, joined appends, and how long a caller waits."""
import urllib.request
import json

from system import System, eventually, heard_between, run

LONG = "This is a long story. " * 12


def events(system, row, kind):
    return [event["body"] for event in system.sql(
        f"SELECT body FROM call_events WHERE conversation_id = '{row['id']}' AND kind = '{kind}' ORDER BY seq")]


def agent_messages(system, row):
    return system.sql("SELECT content, interrupted, heard_ms, audio_ms FROM conversation_messages WHERE role = 'assistant' "
                      f"AND conversation_id = '{row['id']}' ORDER BY timestamp, seq")


def client_events(system, kind):
    with open(system.dialogue.name) as file:
        lines = [json.loads(line) for line in file]
    found = [line.get("event", line) for line in lines]
    return [event for event in found if event.get("type") == kind]


def patience(system):
    """interrupt_response of every session.update of ours, in order."""
    return [update["session"]["audio"]["input"]["turn_detection"]["interrupt_response"]
            for update in client_events(system, "session.update")]


def a_firm_greeting_is_heard_whole_and_the_caller_answered():
    with System().record_dialogue() as system:
        system.organisation("A", "+15550100", greeting=LONG, greeting_interruptible="false")
        report = system.call("--interrupt", "Stop, please stop, what is your name?", "--barge-in-after", "1500")
        call = report["calls"][0]
        row = system.finished(call["call_sid"])
        assert call["stream"]["clears"] == [], call["stream"]["clears"]
        assert row["figures"]["barge_ins"] == 0, row["figures"]
        first, second = eventually("both of the agent's messages",
                                   lambda: (said := agent_messages(system, row))[1:] and said[:2])
        assert not first["interrupted"] and "long story" in first["content"], first
        assert "practice agent" in second["content"], second
        assert patience(system) == [False], patience(system)
        assert client_events(system, "response.cancel") == []
        assert events(system, row, "ai_error") == []
        system.judge_dialogue()


def speech_that_has_to_last():
    with System().record_dialogue() as system:
        system.organisation("A", "+15550100", greeting=LONG, interrupt_after_ms=400)
        report = system.call("--interrupt", "Stop, please stop, I have a question.", "--barge-in-after", "2000",
                             "--hangup-after", "9000")
        call = report["calls"][0]
        row = system.finished(call["call_sid"])
        clear = call["stream"]["clears"][0]
        print(f"silent {clear['after_interrupt_ms']:.0f} ms after the caller began")
        assert clear["after_interrupt_ms"] >= 400, clear
        told = system.sql("SELECT body, (extract(epoch FROM at) * 1000)::bigint AS at_ms FROM call_events "
                          f"WHERE conversation_id = '{row['id']}' AND kind = 'barge_in' ORDER BY seq")[0]
        named_ms = told["body"]["audio_end_ms"]
        least_ms, most_ms = heard_between(call["stream"], told["at_ms"])
        assert least_ms <= named_ms <= most_ms, (named_ms, clear, call["stream"]["frames"], told)
        assert patience(system)[0] is False
        # we stopped the response ourselves, unless it had been sent whole by then
        truncated = client_events(system, "conversation.item.truncate")
        assert truncated and truncated[0]["audio_end_ms"] == named_ms, truncated
        assert events(system, row, "ai_error") == []
        system.judge_dialogue()


def a_word_in_passing_stops_nobody():
    with System() as system:
        system.organisation("A", "+15550100", greeting=LONG, interrupt_after_ms=2000)
        report = system.call("--interrupt", "Yes.", "--barge-in-after", "1500", "--hangup-after", "7000")
        row = system.finished(report["calls"][0]["call_sid"])
        assert report["calls"][0]["stream"]["clears"] == []
        assert row["figures"]["barge_ins"] == 0, row["figures"]


def the_greeting_is_the_first_thing_after_start():
    with System(ai_arguments=["--think-ms", "0"]) as system:
        system.organisation("A", "+15550100", greeting="Good day, this is the practice office.")
        report = system.call("--stream-after", "1500", "--hangup-after", "4000")
        stream = report["calls"][0]["stream"]
        row = system.finished(report["calls"][0]["call_sid"])
        assert system.metric("ringbridge_first_audio_ready_seconds_count") == 1
        print(f"first audio {stream['media']['first_ms']} ms after the stream began, edge's own "
              f"{system.metric('ringbridge_first_audio_ready_seconds_sum') * 1000:.2f} ms")
        assert stream["marks"][0]["name"] == "m0" and stream["marks"][0]["played_ms"] > 0, stream["marks"][:1]
        message = agent_messages(system, row)[0]
        assert message["content"].startswith("Good day"), message
        assert message["heard_ms"] == message["audio_ms"] > 1000, message


def appends_are_as_long_as_chosen():
    with System() as system:
        system.organisation("A", "+15550100", greeting="Yes?", append_ms=60)
        report = system.call(say=["What is your name?"])
        row = system.finished(report["calls"][0]["call_sid"])
        three = system.metric('ringbridge_appends_total{frames="3"}')
        others = sum(system.metric(f'ringbridge_appends_total{{frames="{frames}"}}') for frames in (1, 2, "more"))
        assert three * 3 >= 0.9 * row["figures"]["frames_up"] and others <= 3, (three, others, row["figures"])
        assert "practice agent" in system.messages(row)[-1]["content"]


def turns_are_measured():
    with System() as system:
        system.organisation("A", "+15550100", greeting="Yes?", vad_silence_ms=300, vad_prefix_ms=500)
        report = system.call(say=["What is your name?", "Thank you."])
        call = report["calls"][0]
        row = system.finished(call["call_sid"])
        turns = events(system, row, "turn")
        print(turns, call["stream"]["answers_ms"])
        assert len(turns) == row["figures"]["turns"] == 2, (turns, row["figures"])
        for turn in turns:
            parts = turn["vad_ms"] + turn["ai_ms"] + turn["edge_us"] / 1000 + turn["carrier_ms"]
            assert abs(parts - turn["whole_ms"]) <= 4, turn
            assert turn["vad_ms"] >= 300 and turn["ai_ms"] > 0, turn  # it was told to wait for 300 ms of silence
        assert row["figures"]["turn_max_ms"] == max(turn["whole_ms"] for turn in turns)
        for part in ("vad", "ai", "edge", "carrier", "whole"):
            assert system.metric(f'ringbridge_turn_seconds_count{{part="{part}"}}') == 2


def an_ai_that_stops_reading_is_bounded():
    """It takes nothing any more: caller audio is kept two seconds, oldest dropped, and when it has given no sign of life
    for eight another session takes its place."""
    with System() as system:
        system.organisation("A", "+15550100", greeting="Good day.", audio_format="pcm")
        body = json.dumps({"name": "stall", "count": 1}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{system.ai_port}/practice/misbehave", body, timeout=10).read()
        report = system.call("--hangup-after", "24000", hint=False, check=False)
        row = system.finished(report["calls"][0]["call_sid"])
        print(row["ended_reason"], row["figures"])
        assert row["ended_reason"] == "caller_hung_up", row
        lost = system.sql(f"SELECT body FROM call_events WHERE conversation_id = '{row['id']}' AND kind = 'ai_lost'")
        assert [event["body"]["reason"] for event in lost] == ["ai_lost"], lost
        assert row["figures"]["slow_dropped_bytes"] > 4000, row["figures"]
        assert system.metric("ringbridge_ai_slow_total") >= 1  # what the next one is told at once may be much, too


if __name__ == "__main__":
    run(a_firm_greeting_is_heard_whole_and_the_caller_answered, speech_that_has_to_last, a_word_in_passing_stops_nobody,
        the_greeting_is_the_first_thing_after_start, appends_are_as_long_as_chosen, turns_are_measured,
        an_ai_that_stops_reading_is_bounded)
