"""A whole call, from Twilio's webhook to the AI and back, on record; and two organisations at once."""
import threading

from system import System, eventually, run

GREETING = "Hello, this is Northwind. How can I help you?"


def roles(messages):
    return [message["role"] for message in messages]


def check_record(system, report, organisation, greeting, said):
    """One finished call: everything that ought to be on record, and nothing else."""
    call = report["calls"][0]
    row = system.finished(call["call_sid"])
    row = eventually("the carrier's last status is stored", lambda: (now := system.conversation(call["call_sid"]))
                     ["call_status"] == "completed" and now["end_timestamp"] and now)
    assert row["organization_id"] == organisation, row
    assert row["session_id"] == "twilio_" + call["call_sid"]
    assert row["channel"] == "voice" and row["direction"] == "inbound"
    assert row["ended_reason"] == "caller_hung_up", row["ended_reason"]
    assert row["disconnection_reason"] == "completed", row
    assert row["duration_ms"] >= 1000, row
    assert abs(row["stream_duration_ms"] - call["stream"]["duration_ms"]) < 500, (row, call["stream"])
    messages = system.sql("SELECT role, content, interrupted, audio_ms, heard_ms, organization_id FROM "
                          f"conversation_messages WHERE conversation_id = '{row['id']}' ORDER BY timestamp, seq")
    assert {message["organization_id"] for message in messages} == {organisation}
    assert messages[0]["role"] == "assistant" and messages[0]["content"] == greeting, messages
    caller = [message["content"] for message in messages if message["role"] == "user"]
    assert caller == said, caller
    answers = [message for message in messages[1:] if message["role"] == "assistant"]
    assert len(answers) >= len(said), messages
    for message in messages:
        if message["role"] == "assistant" and not message["interrupted"]:
            assert message["audio_ms"] > 300 and message["heard_ms"] == message["audio_ms"], message
    events = system.sql(f"SELECT kind, seq FROM call_events WHERE conversation_id = '{row['id']}' AND source = 'edge' "
                        "ORDER BY seq")
    first = events[0]["seq"]
    assert [event["seq"] for event in events] == list(range(first, first + len(events))), events
    assert {"started", "ai_ready", "message", "usage", "ended"} <= {event["kind"] for event in events}, events
    return row, messages


def one_call(audio_format):
    said = ["When are you open on Saturday?", "Thank you, goodbye."]
    with System().record_dialogue() as system:
        organisation = system.organisation("Northwind", "+15550100", instructions="You are Northwind.",
                                           greeting=GREETING, audio_format=audio_format)
        report = system.call(say=said)
        row, _ = check_record(system, report, organisation, GREETING, said)
        shown = system.control("calls", "show", row["id"])
        for text in [GREETING] + said:
            assert text in shown, shown
        assert row["id"] in system.control("calls", "list")
        assert system.judge_dialogue() > 50
        assert system.metric('ringbridge_calls_ended_total{reason="caller_hung_up"}') == 1
        assert system.metric('ringbridge_calls{state="live"}') == 0


def a_whole_call_pcmu():
    one_call("pcmu")


def a_whole_call_pcm():
    one_call("pcm")


def an_unconfigured_organisation_is_answered():
    with System() as system:
        organisation = system.organisation("Plain", "+15550100")
        report = system.call(say=["Hello?"])
        row = system.finished(report["calls"][0]["call_sid"])
        assert row["organization_id"] == organisation and row["ended_reason"] == "caller_hung_up"
        assert "assistant" in roles(system.messages(row))


def two_organisations_at_once():
    names = {"Alpha": "+15550101", "Beta": "+15550102"}
    with System() as system:
        ids = {name: system.organisation(name, number, greeting=f"Hello, this is {name} speaking.",
                                         instructions=f"You are {name}.") for name, number in names.items()}
        reports = {}

        def call(name):
            reports[name] = system.call("--hangup-after", "7000", to=names[name], hint=False)

        threads = [threading.Thread(target=call, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, other in (("Alpha", "Beta"), ("Beta", "Alpha")):
            row = system.finished(reports[name]["calls"][0]["call_sid"])
            assert row["organization_id"] == ids[name]
            shown = system.control("calls", "show", row["id"], "--json")
            assert f"this is {name} speaking" in shown and other not in shown, shown
        for table in ("conversations", "conversation_messages", "call_events"):
            rows = system.sql(f"SELECT organization_id, count(*) AS count FROM {table} GROUP BY 1")
            assert {row["organization_id"] for row in rows} == set(ids.values()), (table, rows)
            beta = system.sql(f"SELECT * FROM {table} AS t WHERE organization_id = '{ids['Alpha']}' AND t::text LIKE '%Beta%'")
            assert beta == [], beta


def callbacks_in_any_order_and_twice():
    """The same call, reported properly, shuffled, doubled and late: the same record."""
    with System() as system:
        system.organisation("A", "+15550100")
        records = []
        for flags in ((), ("--misbehave", "status-shuffled", "--seed", "3"), ("--misbehave", "status-doubled"),
                      ("--misbehave", "status-shuffled", "--misbehave", "status-doubled", "--seed", "8")):
            report = system.call("--hangup-after", "2500", *flags)
            sid = report["calls"][0]["call_sid"]
            system.finished(sid)
            row = eventually("completed", lambda: (now := system.conversation(sid))["call_status"] == "completed" and
                             now["disconnection_reason"] and now)
            records.append((row["call_status"], row["disconnection_reason"], row["ended_reason"], row["duration_ms"] > 0))
        assert len(set(records)) == 1, records


def keys_are_events():
    with System() as system:
        system.organisation("A", "+15550100")
        report = system.call("--dtmf", "12#", hint=False)
        row = system.finished(report["calls"][0]["call_sid"])
        digits = system.sql(f"SELECT body->>'digit' AS digit FROM call_events WHERE conversation_id = '{row['id']}' "
                            "AND kind = 'dtmf' ORDER BY seq")
        assert [event["digit"] for event in digits] == ["1", "2", "#"], digits


if __name__ == "__main__":
    run(a_whole_call_pcmu, a_whole_call_pcm, an_unconfigured_organisation_is_answered, two_organisations_at_once,
        callbacks_in_any_order_and_twice, keys_are_events)
