#!/usr/bin/env python3
"""A server for http_client_test: one plain port, one with TLS, one with a stranger's certificate.

Usage: http_server.py DIRECTORY (authority.pem, good.pem and strange.pem are made there). Prints the three
ports on one line, then serves until its standard input ends. What a path does, its method says below."""
import email.utils
import http.server
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

PORTS = {}
ASKED = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_any(self):
        path = self.path.split("?")[0]
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        name, _, rest = path[1:].partition("/")
        if name == "2010-04-01":
            name, rest = "twilio", rest.split("/", 2)[2]
        getattr(self, "go_" + name, self.go_nowhere)(rest)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_any

    def go_nowhere(self, rest):
        self.answer(404, b"there is nothing here")

    def go_echo(self, rest):
        told = {"method": self.command, "path": self.path, "headers": dict(self.headers.items()),
                "body": self.body.decode("latin-1"), "client": self.client_address[1]}
        self.answer(200, json.dumps(told).encode(), Content_Type="application/json; charset=utf-8", X_Note="noted")

    def go_bytes(self, rest):
        self.answer(200, b"x" * int(rest), Content_Type="audio/wav")

    def go_status(self, rest):
        self.answer(int(rest), b"why: " + rest.encode())

    def go_flaky(self, rest):
        """flaky/<key>/<n>: n times 503, then what was heard with the first Idempotency-Key."""
        key, _, count = rest.partition("/")
        seen = ASKED.setdefault(key, [])
        seen.append(self.headers.get("Idempotency-Key"))
        if len(seen) <= int(count):
            return self.answer(503, b"not yet")
        self.answer(200, json.dumps({"tries": len(seen), "keys": len(set(seen))}).encode())

    def go_asked(self, rest):
        """asked/<key>: how often it was asked for."""
        ASKED.setdefault(rest, []).append(None)
        self.answer(200, json.dumps(len(ASKED[rest])).encode())

    def go_numbers(self, rest):
        """A short answer that PostgreSQL writes out long."""
        self.answer(200, json.dumps([1e300] * 200).encode())

    def go_later(self, rest):
        when = email.utils.formatdate(time.time() + 1800, usegmt=True) if rest == "date" else rest
        self.answer(429, b"slow down", Retry_After=when)

    def go_redirect(self, rest):
        """redirect/<host>:<port name>/<path>"""
        place, _, path = rest.partition("/")
        host, _, port = place.partition(":")
        scheme = "http" if port.startswith("plain") else "https"
        self.answer(302, b"elsewhere", Location=f"{scheme}://{host}:{PORTS[port]}/{path}")

    def go_round(self, rest):
        self.answer(302, b"and again", Location="/round")

    def go_truncated(self, rest):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 400)
        self.close_connection = True

    def go_endless(self, rest):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True

    def go_silent(self, rest):
        """Until the other side has gone."""
        self.connection.settimeout(60)
        try:
            self.connection.recv(1)
        except OSError:
            pass
        self.close_connection = True

    def go_headers(self, rest):
        self.send_response(200)
        for i in range(2000):
            self.send_header(f"X-Filling-{i}", "y" * 100)
        self.end_headers()

    def go_cut(self, rest):
        """cut/<key>: the first time an answer; then it is heard, counted, and the connection is reset."""
        seen = ASKED.setdefault(rest, [])
        seen.append(None)
        if len(seen) == 1:
            return self.answer(200, b"1")
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def go_garbage(self, rest):
        self.wfile.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        self.close_connection = True


    def go_twilio(self, rest):
        """Lists of pages, and mishaps, for twilio_rest_test."""
        account = self.path.split("/")[3]
        if rest == "Conferences.json":  # nobody has met anybody
            return self.answer(200, b'{"conferences": []}')
        if rest == "Busy.json":
            told = {"code": 20429, "message": "Too Many Requests", "status": 429}
            return self.answer(429, json.dumps(told).encode(), Retry_After="3")
        if rest == "Once.json":  # done, and no answer; a GET says how often
            if self.command == "GET":
                return self.answer(200, json.dumps({"done": len(ASKED.get("once", []))}).encode())
            ASKED.setdefault("once", []).append(self.body)
            self.close_connection = True
            return None
        if rest == "Messages.json":
            return self.take_message(dict(urllib.parse.parse_qsl(self.body.decode())))
        kind = rest.split("/")[1].removesuffix(".json")
        here = f"/2010-04-01/Accounts/{account}/Pages/"
        nexts = {"elsewhere": "http://example.com/", "up": here + "../../Other/1.json",
                 "stranger": here.replace(account, "AC" + "9" * 32) + "1.json", "0": None, "1": None}
        page = {"calls": [{"sid": f"CA{n:032x}"} for n in range(3)],
                "next_page_uri": nexts[kind] if kind in nexts else f"{here}{int(kind) - 1}.json"
                if kind.isdigit() else None}
        if kind == "none":
            del page["calls"]
        self.answer(200, b"[1" if kind == "text" else json.dumps(page).encode())


    def take_message(self, form):
        status = int(form["To"][-3:])
        if status < 400:
            return self.answer(201, json.dumps({"sid": "SM" + "5" * 32, "status": "queued"}).encode())
        if status == 599:
            return self.go_silent("")
        self.answer(status, json.dumps({"code": 21610, "message": "blocked", "status": status}).encode())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client):
        pass


def serve(name, certificate=None):
    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.with_suffix(".pem"), certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    PORTS[name] = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    directory = Path(sys.argv[1])
    maker = Path(__file__).resolve().parents[1] / "io/make_certificates.sh"
    subprocess.run([maker, directory], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    serve("plain")
    serve("plain2")
    serve("tls", directory / "good")
    serve("strange", directory / "strange")
    print(PORTS["plain"], PORTS["plain2"], PORTS["tls"], PORTS["strange"], flush=True)
    while os.read(0, 4096):
        pass


main()
