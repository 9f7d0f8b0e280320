"""The caller speaks over the agent: silence at once, and a truncation at the millisecond that was really played."""
from system import System, eventually, heard_between, run

LONG = "This is a long story. " * 20


def interrupted_call(system):
    report = system.call("--interrupt", "Stop, please stop, I have a question.", "--barge-in-after", "2500",
                         "--hangup-after", "9000")
    return report["calls"][0]


def check(audio_format):
    with System().record_dialogue() as system:
        system.organisation("A", "+15550100", greeting=LONG, audio_format=audio_format)
        call = interrupted_call(system)
        row = system.finished(call["call_sid"])
        clears = call["stream"]["clears"]
        assert clears, "the carrier was never cleared"
        events = system.sql("SELECT body, (extract(epoch FROM at) * 1000)::bigint AS at_ms FROM call_events "
                            f"WHERE conversation_id = '{row['id']}' AND kind = 'barge_in' "
                            "ORDER BY seq")
        assert len(events) >= 1, events
        # What the carrier had played of the interrupted item when the clear came: the truth.
        least_ms, most_ms = heard_between(call["stream"], events[0]["at_ms"])
        named_ms = events[0]["body"]["audio_end_ms"]
        print(f"{audio_format}: played {least_ms} to {most_ms} ms, truncated at {named_ms} ms")
        assert least_ms <= named_ms <= most_ms, (named_ms, clears[0], call["stream"]["frames"], events[0])
        assert named_ms < events[0]["body"]["audio_ms"]
        told = system.sql("SELECT interrupted, heard_ms, audio_ms, content FROM conversation_messages WHERE "
                          f"conversation_id = '{row['id']}' AND role = 'assistant' ORDER BY timestamp, seq LIMIT 1")[0]
        assert told["interrupted"] and told["heard_ms"] == named_ms and told["content"], told
        assert row["figures"]["barge_ins"] == len(events), row["figures"]
        system.judge_dialogue()
        # The AI agreed: a truncation beyond its audio, or of a wrong item, is answered with an error.
        assert system.sql(f"SELECT body FROM call_events WHERE conversation_id = '{row['id']}' AND kind = 'ai_error'") == []


def truncation_names_what_was_played_pcmu():
    check("pcmu")


def truncation_names_what_was_played_pcm():
    check("pcm")


def silence_after_the_agent_has_finished_is_no_interruption():
    with System() as system:
        system.organisation("A", "+15550100", greeting="Yes?")
        report = system.call(say=["Hello, are you there?"])
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["figures"]["barge_ins"] == 0, row["figures"]
        assert report["calls"][0]["stream"]["clears"] == []
        eventually("no message is marked", lambda: system.sql(
            "SELECT count(*) AS count FROM conversation_messages WHERE interrupted") == [{"count": 0}])


if __name__ == "__main__":
    run(truncation_names_what_was_played_pcmu, truncation_names_what_was_played_pcm,
        silence_after_the_agent_has_finished_is_no_interruption)
