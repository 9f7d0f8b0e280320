"""An AI that refuses, stalls, lies or dies: the call ends with the right reason, Twilio is told what comes next, and the
edge serves the next call as if nothing had been."""
from system import System, run

# What the practice AI does, and the reasons that may be on record. None: the call lives on.
CASES = {
    "refuse-401": {"ai_refused"}, "refuse-503": {"ai_refused"}, "quota": {"ai_error", "ai_refused"},
    "reject-update": {"ai_refused"}, "drop": {"ai_lost"}, "vanish": {"ai_lost"}, "close": {"ai_closed"},
    "expire": {"ai_expired"}, "garbage": {"ai_protocol"}, "deep": {"ai_protocol"}, "huge-delta": {"ai_protocol"},
    "bad-base64": {"ai_protocol"}, "masked": {"ai_protocol"}, "reserved": {"ai_protocol"}, "binary": {"ai_protocol"},
    "not-utf8": {"ai_protocol"}, "long-frame": {"ai_protocol"},
    "error": None, "odd-delta": None, "unknown": None, "flood": None, "fragment": None,
}
SLOW_CASES = {"no-ready": {"ai_not_ready"}, "hang": {"ai_not_ready"}}


def play(system, misbehaviour, reasons):
    report = system.call("--hangup-after", "4000" if reasons is None else "16000", to="+15550100", hint=False,
                         check=False)
    row = system.finished(report["calls"][0]["call_sid"])
    wanted = reasons or {"caller_hung_up"}
    assert row["ended_reason"] in wanted, f"{misbehaviour}: {row['ended_reason']}, not {wanted}"
    print(f"  {misbehaviour}: {row['ended_reason']}")


def troubles(cases):
    with System() as system:
        organisation = system.organisation("A", "+15550100")
        for misbehaviour, reasons in cases.items():
            system.control("config", "set", "--org", organisation, "--channel", "voice",
                           f"model=practice-{misbehaviour}")
            play(system, misbehaviour, reasons)
        system.control("config", "set", "--org", organisation, "--channel", "voice", "model=gpt-realtime")
        play(system, "a good AI again", None)


def each_trouble_has_its_reason():
    troubles(CASES)


def silence_in_the_handshake_has_a_deadline():
    troubles(SLOW_CASES)


def an_ai_that_is_not_there():
    with System() as system:
        system.organisation("A", "+15550100")
        system.stop("ai")
        report = system.call("--hangup-after", "6000", hint=False, check=False)
        assert system.finished(report["calls"][0]["call_sid"])["ended_reason"] == "ai_unreachable"
        system.start_ai()
        report = system.call("--hangup-after", "3000", hint=False)
        assert system.finished(report["calls"][0]["call_sid"])["ended_reason"] == "caller_hung_up"


if __name__ == "__main__":
    run(each_trouble_has_its_reason, silence_in_the_handshake_has_a_deadline, an_ai_that_is_not_there)
