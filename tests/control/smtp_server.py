#!/usr/bin/python3
"""A real SMTP server (aiosmtpd) that wants a login. smtp_server.py DIRECTORY

Prints four ports: one that offers STARTTLS, one that has no TLS at all, one with TLS from the first byte, and one whose
certificate is nobody's. What came goes to DIRECTORY/seen, a line each: "login NAME good|bad" and "mail FROM TO BYTES". It ends
when its standard input does."""
import asyncio
import pathlib
import ssl
import subprocess
import sys

from aiosmtpd.smtp import SMTP, AuthResult

directory = pathlib.Path(sys.argv[1])


def note(line):
    with open(directory / "seen", "a") as seen:
        seen.write(line + "\n")


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        note(f"mail {envelope.mail_from} {','.join(envelope.rcpt_tos)} {len(envelope.content)}")
        return "250 taken"


def authenticate(server, session, envelope, mechanism, login):
    good = (login.login, login.password) == (b"postbox", b"s3cret-of-the-postbox")
    note(f"login {login.login.decode()} {'good' if good else 'bad'}")
    return AuthResult(success=good, handled=False)


def context(name):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    return made


async def serve():
    loop = asyncio.get_running_loop()
    for options, outer in (({"tls_context": context("good"), "require_starttls": True}, None), ({"auth_require_tls": False}, None),
                           ({"auth_require_tls": False}, context("good")), ({"auth_require_tls": False}, context("strange"))):
        server = await loop.create_server(
            lambda options=options: SMTP(Mailbox(), authenticator=authenticate, auth_required=True, hostname="localhost", **options),
            "127.0.0.1", 0, ssl=outer)
        print(server.sockets[0].getsockname()[1], end=" ", flush=True)
    print(flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


subprocess.run(["tests/io/make_certificates.sh", directory], check=True, stderr=subprocess.DEVNULL)
asyncio.run(serve())
