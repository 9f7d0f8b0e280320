"""Recordings that edges have left in the spool become Ogg Opus files, once each, whatever dies in between."""
import os
import random
import re
import signal
import struct
import subprocess
import time
import uuid

from system import BIN, System, eventually, run

BLOCK_SAMPLES, RATE = 8160, 8000


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def spool_bytes(call, organisation, started_at_ms, samples, seed=1):
    """A recording in the spool's format, written without our code."""
    noise = random.Random(seed)
    out = b""
    for first in range(0, samples, BLOCK_SAMPLES):
        count = min(BLOCK_SAMPLES, samples - first)
        head = b"RSPB" + struct.pack("<BBHQQ", 1, 0, count, first, started_at_ms) + uuid.UUID(call).bytes + \
            uuid.UUID(organisation).bytes + bytes(4)
        out += head + struct.pack("<I", crc32c(head)) + noise.randbytes(BLOCK_SAMPLES) + b"\xff" * BLOCK_SAMPLES
    return out


def leave(system, call, organisation, samples, started_at_ms=1800000000000, tail=b""):
    """What a dead edge leaves: a file that nobody holds."""
    name = f"{call}.{started_at_ms}.spool"
    (system.spool / name).write_bytes(spool_bytes(call, organisation, started_at_ms, samples) + tail)
    return name


def make_calls(system, organisation, count):
    """Conversations without calls, as the database has them."""
    return [row["id"] for row in system.sql(
        f"SELECT gen_random_uuid() AS id FROM generate_series(1, {count})")] and subprocess.run(
        ["psql", system.database_url, "-XqAt", "-c", "SET row_security = off", "-c",
         f"INSERT INTO conversations (organization_id, session_id, channel, account_sid, call_sid, call_status) "
         f"SELECT '{organisation}', 'twilio_' || n, 'voice', 'AC' || lpad(n::text, 32, '0'), "
         f"'CA' || lpad(n::text, 32, '0'), 'completed' FROM generate_series(1, {count}) AS n RETURNING id"],
        text=True, capture_output=True, check=True).stdout.split()


def control_of(system, directory, *words):
    done = subprocess.run([BIN / "ringbridge-control", *words, "--media-dir", directory], capture_output=True,
                          env=system.environment())
    return done.returncode, done.stdout, done.stderr.decode()


def seconds_of(path):
    text = subprocess.run(["opusinfo", path], text=True, capture_output=True).stdout
    minutes, seconds = re.search(r"Playback length: (\d+)m:([\d.]+)s", text).groups()
    return int(minutes) * 60 + float(seconds)


def a_recording_that_a_dead_edge_left_is_kept():
    with System() as system:
        organisation = system.organisation("A", "+15550100", record_kbps="32")
        system.stop("control")
        call, other = make_calls(system, organisation, 2)
        samples = 5 * RATE + 77
        leave(system, call, organisation, samples, tail=b"torn" * 100)
        (system.spool / f"{other}.1800000000000.spool").write_bytes(b"")  # died before its first second
        (system.spool / "notes.txt").write_text("nobody's")
        unnamed = system.spool / f"{other}.1800000000001.spool.new"  # died before it had its name
        unnamed.write_bytes(b"")
        os.utime(unnamed, (1700000000, 1700000000))
        system.start_control()
        row = eventually("it is on record", lambda: system.sql("SELECT * FROM recordings"))[0]
        assert (row["conversation_id"], row["organization_id"]) == (call, organisation), row
        assert row["duration_ms"] == round(samples * 1000 / RATE) and row["peak_ms"] == 20, row
        path = system.media / row["path"]
        assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_size == row["bytes"]
        assert abs(seconds_of(path) - samples / RATE) <= 0.020
        eventually("the spool is empty but for what is nobody's",
                   lambda: [file.name for file in system.spool.iterdir()] == ["notes.txt"])
        eventually("the job is counted",
                   lambda: system.metric('ringbridge_control_jobs_total{kind="recording_encode",result="done"}') == 1)
        status, sound, _ = control_of(system, system.media, "recordings", "export", row["id"])
        assert status == 0 and sound == path.read_bytes()
        assert row["id"] in system.control("recordings", "list")
        path.write_bytes(sound[:-1] + b"?")
        status, _, complaint = control_of(system, system.media, "recordings", "export", row["id"])
        assert status == 1 and "hash differs" in complaint, complaint


def a_recording_of_another_organisation_is_not_taken():
    with System() as system:
        ours, theirs = system.organisation("A", "+15550100"), system.organisation("B", "+15550101")
        call = make_calls(system, ours, 1)[0]
        name = leave(system, call, theirs, RATE)  # the file says that it is B's; the call is A's
        system.stop("control")
        system.start_control()
        eventually("it was tried", lambda: system.sql("SELECT * FROM jobs WHERE last_error IS NOT NULL"))
        assert system.sql("SELECT * FROM recordings") == [] and (system.spool / name).exists()


def killed_at_any_line_every_recording_exists_once():
    with System() as system:
        organisation = system.organisation("A", "+15550100")
        calls = make_calls(system, organisation, 24)
        dice = random.Random(7)
        lengths = {call: dice.randrange(RATE, 20 * RATE) for call in calls}
        system.stop("control")
        for call in calls:
            leave(system, call, organisation, lengths[call])
        kills = 0
        while len(list(system.spool.iterdir())) > 0:
            system.start_control()
            time.sleep(dice.random() * 0.9)  # the moment of the crash
            if kills < 25:
                system.stop("control", signal.SIGKILL)
                # A real lease lasts half a minute; whoever died will not come back to it. And ten deaths at one job
                # would be the job's fault: here they are not.
                subprocess.run(["psql", system.database_url, "-Xqc", "SET row_security = off", "-c",
                                "UPDATE jobs SET due_at = now(), max_tries = 1000 WHERE state IN ('queued', 'leased')"], check=True)
                kills += 1
            else:
                eventually("the rest is done", lambda: not list(system.spool.iterdir()), 90)
        rows = system.sql("SELECT * FROM recordings")
        assert sorted(row["conversation_id"] for row in rows) == sorted(calls), rows
        for row in rows:
            path = system.media / row["path"]
            assert path.stat().st_size == row["bytes"]
            assert abs(seconds_of(path) - lengths[row["conversation_id"]] / RATE) <= 0.020
        kept = [path for path in system.media.rglob("*") if path.is_file()]
        assert len(kept) == len(calls), kept
        assert system.sql("SELECT count(*) FROM jobs WHERE kind = 'recording_encode' AND state <> 'done'") == [{"count": 0}]


if __name__ == "__main__":
    run(a_recording_that_a_dead_edge_left_is_kept, a_recording_of_another_organisation_is_not_taken,
        killed_at_any_line_every_recording_exists_once)
