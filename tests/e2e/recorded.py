"""Calls that an edge records while they run: both sides, at their time, whatever dies or is ordered in between."""
import array
import math
import re
import signal
import subprocess
import wave

from orders import live_call, refused
from sound import ulaw_decode
from system import BIN, System, eventually, run

RATE = 8000
FRAME = RATE // 50
MU_LAW = [ulaw_decode(code) for code in range(256)]


def sentence(directory):
    """Tones with silences between, as nobody else has them in this order."""
    path = directory / "caller.wav"
    samples = array.array("h")
    for hertz, ms in ((700, 300), (0, 200), (1100, 500), (0, 120), (500, 260), (0, 300), (900, 700)):
        samples.extend(int(12000 * math.sin(2 * math.pi * hertz * i / RATE)) for i in range(ms * RATE // 1000))
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return path


def carrier_side(path):
    """The practice carrier's WAV files are mu-law."""
    data = path.read_bytes()
    at = data.index(b"data") + 8
    return array.array("h", (MU_LAW[code] for code in data[at:]))


def sound_of(system, row):
    """The two tracks of a recording."""
    path = system.directory / f"{row['id']}.wav"
    subprocess.run(["opusdec", "--quiet", "--rate", str(RATE), system.media / row["path"], path], check=True,
                   capture_output=True)
    with wave.open(str(path)) as sound:
        assert sound.getframerate() == RATE and sound.getnchannels() == 2
        samples = array.array("h", sound.readframes(sound.getnframes()))
    return samples[::2], samples[1::2]


def loudness(samples):
    """Per 20 ms."""
    return [math.sqrt(sum(value * value for value in samples[at:at + FRAME]) / FRAME)
            for at in range(0, len(samples) - FRAME, FRAME)]


def likeness(ours, theirs, frames):
    """Correlation of two loudnesses, at the best of the shifts up to so many frames."""
    best = -1.0
    for shift in range(-frames, frames + 1):
        pairs = [(ours[i], theirs[i - shift]) for i in range(len(ours)) if 0 <= i - shift < len(theirs)]
        mean_a, mean_b = (sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1))
        product = sum((a - mean_a) * (b - mean_b) for a, b in pairs)
        norm = math.sqrt(sum((a - mean_a) ** 2 for a, _ in pairs) * sum((b - mean_b) ** 2 for _, b in pairs))
        best = max(best, product / norm if norm else 0)
    return best


def utterances(loud):
    """Where somebody speaks, as (first, last) frames: half a second of silence lies between two."""
    found = []
    for at in (at for at, level in enumerate(loud) if level > 200):
        if found and at - found[-1][1] <= 25:
            found[-1][1] = at
        else:
            found.append([at, at])
    return [(first, last) for first, last in found if last - first >= 10]


def utterances_alike(ours, theirs):
    """The same utterances in the same order, each at its place by two seconds: a busy machine moves them on their way."""
    mine, other = utterances(ours), utterances(theirs)
    assert len(mine) == len(other) > 0, (mine, other)
    for (first, last), (there, end) in zip(mine, other):
        assert abs(first - there) <= 100 and abs((last - first) - (end - there)) <= 10, (mine, other)
        length = min(last - first, end - there)
        match = likeness(ours[first:first + length], theirs[there:there + length], 5)
        assert match > 0.9, (match, mine, other)


def recordings(system, count):
    return eventually(f"{count} recordings are on record", lambda: (
        rows := system.sql("SELECT * FROM recordings ORDER BY started_at")) and len(rows) == count and rows, 40)


def kinds(system):
    return [row["kind"] for row in
            system.sql("SELECT kind FROM call_events WHERE kind LIKE 'recording%' ORDER BY seq")]


def a_whole_call_is_recorded():
    for audio_format in ("pcmu", "pcm"):
        with System() as system:
            system.organisation("A", "+15550100", record="true", audio_format=audio_format,
                                greeting="Good morning, this is the practice.")
            heard, sent = system.directory / "heard.wav", system.directory / "sent.wav"
            report = system.call("--wav", sentence(system.directory), "--say", "Thank you, bye.", "--out", heard,
                                 "--sent-out", sent, "--misbehave", "timestamp-gap")
            conversation = system.finished(report["calls"][0]["call_sid"])
            row = recordings(system, 1)[0]
            figures = conversation["figures"]
            samples = figures["bytes_up"] + figures["gap_samples"]
            assert figures["gap_samples"] > 0
            assert abs(row["duration_ms"] - samples / 8) <= 1, (row["duration_ms"], samples)
            assert row["conversation_id"] == conversation["id"] and row["edge"]
            caller, agent = sound_of(system, row)
            assert abs(len(caller) - samples) <= FRAME, (len(caller), samples)
            # What was sent stands in the carrier's file without what got lost; so the agent's side is compared by its
            # time, the caller's by a call without loss below.
            utterances_alike(loudness(agent), loudness(carrier_side(heard)))
            assert kinds(system) == ["recording_started", "recording"]
            eventually("the spool is empty", lambda: not list(system.spool.iterdir()))
            assert system.metric('ringbridge_recordings_total{event="finished"}') == 1
            assert system.metric("ringbridge_recordings") == 0


def each_side_is_on_its_own_track():
    with System() as system:
        system.organisation("A", "+15550100", record="true", greeting="Hello.")
        heard, sent = system.directory / "heard.wav", system.directory / "sent.wav"
        system.call("--wav", sentence(system.directory), "--out", heard, "--sent-out", sent)
        caller, agent = (loudness(side) for side in sound_of(system, recordings(system, 1)[0]))
        spoken, played = (loudness(carrier_side(path)) for path in (sent, heard))
        assert likeness(caller, spoken, 5) > 0.95
        utterances_alike(agent, played)
        assert likeness(caller, played, 25) < 0.6 and likeness(agent, spoken, 25) < 0.6


def a_killed_edge_leaves_all_but_the_last_second():
    with System() as system:
        system.organisation("A", "+15550100", record="true")
        caller, _ = live_call(system, "--hangup-after", "30000")
        eventually("six seconds were heard",
                   lambda: system.metric('ringbridge_frames_total{leg="carrier",direction="in"}') > 300)
        frames = system.metric('ringbridge_frames_total{leg="carrier",direction="in"}')
        system.stop("edge", signal.SIGKILL)
        system.start_edge()
        caller.join()
        row = recordings(system, 1)[0]
        assert row["duration_ms"] >= frames * 20 - 1100, (row["duration_ms"], frames)
        left, right = sound_of(system, row)
        assert abs(len(left) / 8 - row["duration_ms"]) <= 20
        assert max(loudness(right)) > 300  # the greeting is in there


def a_stopped_edge_finishes_what_it_records():
    with System(edge_arguments=["--drain-seconds", "1"]) as system:
        system.organisation("A", "+15550100", record="true")
        caller, _ = live_call(system, "--hangup-after", "20000")
        eventually("it is being written", lambda: system.metric("ringbridge_spool_bytes_total") > 0)
        assert system.stop("edge") is None
        system.start_edge()
        caller.join()
        row = recordings(system, 1)[0]
        assert kinds(system) == ["recording_started", "recording"]
        told = system.sql("SELECT body FROM call_events WHERE kind = 'recording'")[0]["body"]
        assert abs(told["samples"] / 8 - row["duration_ms"]) <= 1 and told["lost_samples"] == 0, (told, row)


def a_disk_that_takes_no_more_ends_the_recording_and_not_the_call():
    with System() as system:
        system.organisation("A", "+15550100", record="true")
        limit = ["prlimit", "--pid", str(system.processes["edge"].pid), "--fsize=50000"]
        subprocess.run(limit, check=True)
        caller, _ = live_call(system, "--hangup-after", "8000")
        caller.join()
        call_sid = system.sql("SELECT call_sid FROM conversations")[0]["call_sid"]
        conversation = system.finished(call_sid)
        assert conversation["ended_reason"] == "caller_hung_up" and conversation["figures"]["bytes_up"] > 6 * RATE
        row = recordings(system, 1)[0]
        assert 0 < row["duration_ms"] <= 3 * 1020, row
        told = system.sql("SELECT body FROM call_events WHERE kind = 'recording'")[0]["body"]
        assert told["reason"] == "file_too_large", told
        assert "recording failed" in system.log("edge")
        assert system.metric('ringbridge_recordings_failed_total{reason="file_too_large"}') == 1


def what_is_paused_is_silent_and_on_record():
    with System() as system:
        system.organisation("A", "+15550100", record="true", greeting="")
        tone = sentence(system.directory)
        caller, _ = live_call(system, "--greeting-ms", "0", "--patience-ms", "500", "--wav", tone, "--wav", tone,
                              "--wav", tone, "--wav", tone, "--hangup-after", "12000")
        call_sid = system.sql("SELECT call_sid FROM conversations")[0]["call_sid"]
        eventually("it is being recorded", lambda: "recording_started" in kinds(system))
        frames = system.metric('ringbridge_frames_total{leg="carrier",direction="in"}')

        def frames_more(count):
            eventually(f"{count} frames more", lambda: system.metric(
                'ringbridge_frames_total{leg="carrier",direction="in"}') >= frames + count)

        assert "done" in system.control("calls", "record", "pause", call_sid)
        frames_more(250)
        assert "done" in system.control("calls", "record", "resume", call_sid)
        caller.join()
        system.finished(call_sid)
        row = recordings(system, 1)[0]
        events = system.sql("SELECT kind, body FROM call_events WHERE kind LIKE 'recording_%' ORDER BY seq")
        assert [event["kind"] for event in events] == ["recording_started", "recording_paused", "recording_resumed"]
        begin, end = (event["body"]["at_sample"] for event in events[1:])
        assert end - begin >= 4 * RATE, events
        for side in sound_of(system, row):
            assert max(loudness(side[begin + FRAME:end - FRAME])) < 50
        caller_side = sound_of(system, row)[0]
        assert max(loudness(caller_side)) > 3000
        figures = system.conversation(call_sid)["figures"]
        assert abs(row["duration_ms"] - (figures["bytes_up"] + figures["gap_samples"]) / 8) <= 1
        assert "over" in refused(system, "calls", "record", "pause", call_sid)


def recording_begins_and_ends_by_order():
    with System() as system:
        system.organisation("A", "+15550100")
        caller, _ = live_call(system, "--hangup-after", "9000")
        call_sid = system.sql("SELECT call_sid FROM conversations")[0]["call_sid"]
        for action in ("start", "stop", "start"):
            assert "done" in system.control("calls", "record", action, call_sid)
        caller.join()
        system.finished(call_sid)
        eventually("two files are finished", lambda: kinds(system).count("recording") == 2)
        assert kinds(system).count("recording_started") == 2


def an_edge_without_a_spool_says_so():
    with System(edge_arguments=["--spool", ""]) as system:
        system.organisation("A", "+15550100", record="true")
        caller, _ = live_call(system, "--hangup-after", "6000")
        call_sid = system.sql("SELECT call_sid FROM conversations")[0]["call_sid"]
        assert "keeps no recordings" in refused(system, "calls", "record", "start", call_sid)
        caller.join()
        system.finished(call_sid)
        events = system.sql("SELECT kind, body ->> 'reason' AS reason FROM call_events WHERE kind LIKE 'recording%'")
        assert events == [{"kind": "recording_failed", "reason": "no_spool"}], events
        assert system.metric('ringbridge_recordings_total{event="refused"}') == 1


def a_spool_that_is_not_private_is_refused():
    with System() as system:
        system.stop("edge")
        for mode, words in ((0o750, "chmod 700"), (0o700, None)):
            system.spool.chmod(mode)
            done = subprocess.run([BIN / "ringbridge-edge", "--check", "--spool", system.spool, "--metrics", "127.0.0.1:0",
                                   "--listen", "127.0.0.1:0"], text=True, capture_output=True, env=system.environment())
            assert (done.returncode == 0) == (words is None), done
            assert words is None or re.search(words, done.stderr), done.stderr
        system.start_edge()


if __name__ == "__main__":
    run(a_whole_call_is_recorded, each_side_is_on_its_own_track, a_killed_edge_leaves_all_but_the_last_second,
        a_stopped_edge_finishes_what_it_records, a_disk_that_takes_no_more_ends_the_recording_and_not_the_call,
        what_is_paused_is_silent_and_on_record, recording_begins_and_ends_by_order, an_edge_without_a_spool_says_so,
        a_spool_that_is_not_private_is_refused)
