"""Stopping and starting: drain with a deadline, TLS and its reload, several cores, command lines that help."""
import signal
import socket
import ssl
import subprocess
import threading

from system import BIN, System, eventually, run


def a_drain_lets_calls_finish():
    with System(edge_arguments=("--drain-seconds", "60")) as system:
        system.organisation("A", "+15550100")
        reports = []
        caller = threading.Thread(target=lambda: reports.append(system.call("--hangup-after", "5000", hint=False)))
        caller.start()
        eventually("the call is live", lambda: system.metric('ringbridge_calls{state="live"}') == 1)
        edge = system.processes.pop("edge")
        edge.send_signal(signal.SIGTERM)
        eventually("the load balancer is told", lambda: system.ready() == 503)
        new_call = {"CallSid": "CA" + "9" * 32, "From": "+15550177", "To": "+15550100"}
        status, twiml = system.post("/api/twilio/incoming-call", new_call)
        assert status == 200 and "<Stream" not in twiml and "<Redirect" in twiml, (status, twiml)
        caller.join()
        assert edge.wait(30) == 0
        assert refused(system.listen)
        assert system.finished(reports[0]["calls"][0]["call_sid"])["ended_reason"] == "caller_hung_up"


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return False
    except OSError:
        return True


def a_drain_has_a_deadline():
    with System(edge_arguments=("--drain-seconds", "1")) as system:
        system.organisation("A", "+15550100")
        reports = []
        caller = threading.Thread(target=lambda: reports.append(system.call("--hangup-after", "30000", hint=False,
                                                                            check=False)))
        caller.start()
        eventually("the call is live", lambda: system.metric('ringbridge_calls{state="live"}') == 1)
        edge = system.processes.pop("edge")
        edge.send_signal(signal.SIGTERM)
        assert edge.wait(30) == 0
        caller.join()
        row = eventually("on record", lambda: system.sql("SELECT * FROM conversations WHERE ended_reason IS NOT NULL"))[0]
        assert row["ended_reason"] == "drained", row


def certificate(directory, name):
    """A CA and a certificate of its for localhost, made now."""
    run_quietly = lambda *words: subprocess.run(words, check=True, capture_output=True, cwd=directory)  # noqa: E731
    run_quietly("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    return directory / f"{name}.pem", directory / f"{name}.key"


def names_seen(port, roots):
    context = ssl.create_default_context(cafile=roots)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        with context.wrap_socket(peer, server_hostname="localhost") as wrapped:
            return dict(pair[0] for pair in wrapped.getpeercert()["subject"])["commonName"], wrapped.version()


class TlsSystem(System):
    """TLS on both legs: carrier to edge, edge to AI."""

    def start_ai(self):
        self.certificate, self.key = certificate(self.directory, "first")
        self.ai_arguments = ["--cert", self.certificate, "--key", self.key]
        self.edge_arguments = ["--listen-tls", f"127.0.0.1:{self.listen_tls}", "--cert", self.certificate,
                               "--key", self.key, "--roots", self.certificate]
        super().start_ai()

    def ai_url(self):
        return f"wss://localhost:{self.ai_port}/v1/realtime"


def a_call_with_tls_on_both_legs():
    with TlsSystem() as system:
        system.organisation("A", "+15550100")
        for _ in range(2):
            report = system.call("--hangup-after", "4000", "--connect", f"wss://127.0.0.1:{system.listen_tls}",
                                 hint=False)
            row = system.finished(report["calls"][0]["call_sid"])
            assert row["ended_reason"] == "caller_hung_up" and row["figures"]["frames_down"] > 0, row
        resumed = system.metric('ringbridge_tls_handshakes_total{side="client",kind="resumed"}')
        assert resumed >= 1, "the second AI leg did not resume"


def the_certificate_is_reloaded():
    with TlsSystem() as system:
        assert names_seen(system.listen_tls, system.certificate)[0] == "first"
        other, other_key = certificate(system.directory, "second")
        system.certificate.write_bytes(other.read_bytes())
        system.key.write_bytes(other_key.read_bytes())
        system.processes["edge"].send_signal(signal.SIGHUP)
        eventually("the new certificate is shown", lambda: try_name(system.listen_tls, other) == "second")
        system.certificate.write_text("rubbish")
        system.processes["edge"].send_signal(signal.SIGHUP)
        eventually("the failure is logged", lambda: "certificate not reloaded" in system.log("edge"))
        assert names_seen(system.listen_tls, other)[0] == "second"


def try_name(port, roots):
    try:
        return names_seen(port, roots)[0]
    except ssl.SSLError:
        return None


def an_ai_with_a_foreign_certificate_is_refused():
    with TlsSystem() as system:
        system.stop("edge")
        other, _ = certificate(system.directory, "foreign")
        system.edge_arguments[-1] = other
        system.start_edge()
        system.organisation("A", "+15550100")
        report = system.call("--hangup-after", "5000", hint=False, check=False)
        assert system.finished(report["calls"][0]["call_sid"])["ended_reason"] == "ai_tls"
        assert system.metric('ringbridge_faults_total{fault="tls_certificate"}') >= 1


def calls_on_several_cores():
    with System(cores="any:3") as system:
        system.organisation("A", "+15550100")
        report = system.call("--calls", "12", "--rate", "20", "--hangup-after", "3000", hint=False)
        for call in report["calls"]:
            assert system.finished(call["call_sid"])["ended_reason"] == "caller_hung_up"
        assert system.metric('ringbridge_calls_ended_total{reason="caller_hung_up"}') == 12


def command_lines_help():
    for program in ("ringbridge-edge", "ringbridge-control"):
        done = subprocess.run([BIN / program, "--help"], text=True, capture_output=True)
        assert done.returncode == 0 and "RINGBRIDGE" in done.stdout, done.stdout
        done = subprocess.run([BIN / program, "--no-such-flag"], text=True, capture_output=True)
        assert done.returncode == 2 and "--help" in done.stderr, (done.returncode, done.stderr)
    for flags, word in ((("--listen", "nonsense"), "ADDRESS:PORT"), (("--listen", "off"), "nothing to listen on"),
                        (("--cores", "9-3"), "processor numbers"), (("--max-calls", "0"), "number from 1"),
                        (("--listen-tls", "127.0.0.1:1"), "--cert"), (("--log", "xml"), "text or json")):
        done = subprocess.run([BIN / "ringbridge-edge", *flags], text=True, capture_output=True)
        assert done.returncode == 2 and word in done.stderr, (flags, done.returncode, done.stderr)


def check_is_a_check():
    most = ["--max-calls", "8192"]  # as configurations have it: what the edge itself needs may not lower it
    done = subprocess.run([BIN / "ringbridge-edge", "--check", "--listen", "127.0.0.1:0", "--cores", "any:1", *most], text=True,
                          capture_output=True)
    assert done.returncode == 0 and "good" in done.stdout, done.stdout + done.stderr
    done = subprocess.run([BIN / "ringbridge-edge", "--check", "--listen-tls", "127.0.0.1:0", "--cert", "/nowhere",
                           "--key", "/nowhere", "--cores", "any:1"], text=True, capture_output=True)
    assert done.returncode == 1 and "/nowhere" in done.stderr, done.stdout + done.stderr


if __name__ == "__main__":
    run(a_drain_lets_calls_finish, a_drain_has_a_deadline, a_call_with_tls_on_both_legs, the_certificate_is_reloaded,
        an_ai_with_a_foreign_certificate_is_refused, calls_on_several_cores, command_lines_help, check_is_a_check)
