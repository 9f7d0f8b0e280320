"""What an organisation has done with a call: a person first, a message when nobody is there, and a fallback when the AI
fails in the middle."""
import json

from system import System, eventually, run


def verbs(report):
    return report["calls"][0]["verbs"]


def nobody_answers_and_a_message_is_left():
    with System() as system:
        org = system.organisation("A", "+15550100")
        system.control("route", "add", "--org", org, json.dumps(
            {"step": "dial", "to": "+15550101", "ring_s": 10, "else": {"step": "voicemail", "greeting": "Nobody is in."}}))
        report = system.call(hint=False, check=False)  # a call without a stream is no success to the carrier
        assert verbs(report) == ["Dial", "Say", "Record", "Say", "Hangup"], verbs(report)
        listed = eventually("the message is on record", lambda: json.loads(
            system.control("voicemail", "list", "--org", org, "--json")))
        assert len(listed) == 1 and listed[0]["state"] == "new" and listed[0]["status"] == "completed", listed
        assert listed[0]["from"] == "+15550177" and listed[0]["seconds"] == "3", listed
        system.control("voicemail", "listened", listed[0]["id"])
        assert json.loads(system.control("voicemail", "list", "--json"))[0]["state"] == "listened"
        row = system.conversation(report["calls"][0]["call_sid"])
        assert row["call_status"] == "completed" and row["ended_reason"] is None, row  # it never streamed


def other_numbers_and_other_organisations_are_not_touched():
    with System() as system:
        org = system.organisation("A", "+15550100")
        other = system.organisation("B", "+15550200")
        system.control("number", "add", "+15550102", "--org", org)
        system.control("route", "add", "--org", org, "--number", "+15550102", "voicemail")
        assert "Record" in verbs(system.call(to="+15550102", hint=False, check=False))
        assert "Connect" in verbs(system.call("--hangup-after", "1500", to="+15550100", hint=False))
        assert "Connect" in verbs(system.call("--hangup-after", "1500", to="+15550200", hint=False))
        assert json.loads(system.control("voicemail", "list", "--org", other, "--json")) == []


def when_the_ai_fails_the_fallback_goes_on():
    with System() as system:
        org = system.organisation("A", "+15550100", model="practice-quota")
        system.control("route", "add", "--org", org, "--purpose", "fallback", json.dumps(
            {"step": "dial", "to": "+15550101", "else": {"step": "voicemail"}}))
        report = system.call("--hangup-after", "20000", hint=False, check=False)
        said = verbs(report)
        assert said[:2] == ["Connect", "Redirect"] and "Dial" in said and "Record" in said, said
        assert system.finished(report["calls"][0]["call_sid"])["ended_reason"] in ("ai_error", "ai_refused")


def what_is_wrong_is_said():
    with System() as system:
        org = system.organisation("A", "+15550100")
        for words, mend in ((["{"], "not JSON"), (['{"step":"dial"}'], 'needs "to"'), (["fly"], "one of agent"),
                            (["agent", "--hours", "monday"], "mon-fri"), (["agent", "--time-zone", "Mars/Base"], "Europe"),
                            (["agent", "--number", "+15550999"], "no number"), (["agent", "--purpose", "x"], "fallback")):
            try:
                system.control("route", "add", "--org", org, *words)
            except AssertionError as error:
                assert mend in str(error), (words, str(error))
            else:
                raise AssertionError(f"taken: {words}")
        assert json.loads(system.control("route", "list", "--json")) == []


if __name__ == "__main__":
    run(nobody_answers_and_a_message_is_left, other_numbers_and_other_organisations_are_not_touched,
        when_the_ai_fails_the_fallback_goes_on, what_is_wrong_is_said)
