#!/usr/bin/python3
"""ws_echo against python3-websockets, an implementation that is not ours: as server (plain and TLS)
and as the client that walks through numbered cases.

    ws_echo_test.py WS_ECHO          the program to judge

Every wait has a deadline; ports are chosen by the kernel."""
import asyncio
import os
import random
import ssl
import subprocess
import sys
import tempfile
import urllib.parse

import websockets

WS_ECHO = sys.argv[1]
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20]
FRAGMENTED = [(1 << 20, 64), (4 << 20, 4096), (16 << 20, 1 << 20)]


async def conversation(peer):
    """What either role must get through."""
    text = "Hällo-µ@ßöäüàá-UTF-8!! \U0001f600"
    await peer.send(text)
    assert await peer.recv() == text
    for size in SIZES:
        message = random.randbytes(size)
        await peer.send(message)
        assert await peer.recv() == message, size
    for size, piece in FRAGMENTED:
        message = random.randbytes(size)
        await peer.send(message[at : at + piece] for at in range(0, size, piece))
        assert await peer.recv() == message, (size, piece)
    for payload in (b"", b"x", b"p" * 125):
        await asyncio.wait_for(await peer.ping(payload), 10)
    pongs = [await peer.ping(bytes([i])) for i in range(100)]
    await asyncio.wait_for(asyncio.gather(*pongs), 10)
    for i in range(500):
        await peer.send("m" * i)
    for i in range(500):
        assert await peer.recv() == "m" * i


async def serve_and_judge(certificates):
    words = [WS_ECHO, "serve", "127.0.0.1:0"]
    context = None
    if certificates:
        words += ["--cert", f"{certificates}/good.pem", "--key", f"{certificates}/good.key"]
        context = ssl.create_default_context(cafile=f"{certificates}/authority.pem")
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split()[-1])
        url = f"{'wss' if certificates else 'ws'}://localhost:{port}/"
        options = dict(max_size=None, compression=None, ping_interval=None, ssl=context)
        async with websockets.connect(url, **options) as peer:
            await conversation(peer)
            await peer.close(3456, "done")
            assert peer.close_code == 3456, peer.close_code
        async with websockets.connect(url, **options) as peer:
            await peer.send(bytes((16 << 20) + 1))
            try:
                await peer.recv()
                raise AssertionError("too large, and yet echoed")
            except websockets.ConnectionClosed as closed:
                assert closed.rcvd.code == 1009, closed
        peers = await asyncio.gather(*(websockets.connect(url, **options) for _ in range(50)))
        for peer in peers:
            await peer.send("all at once")
        for peer in peers:
            assert await peer.recv() == "all at once"
            await peer.close()
    finally:
        server.terminate()
        assert server.wait(20) == 0


async def call_and_judge():
    """The server of numbered cases."""
    seen = {}

    async def case(peer, path):
        parts = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(parts.query)
        if parts.path == "/getCaseCount":
            await peer.send("3")
        elif parts.path == "/runCase":
            assert query["agent"] == ["judged"]
            number = int(query["case"][0])
            if number < 3:
                await conversation(peer)
            await peer.close(1000 if number == 1 else 4000, "next")
            seen[number] = peer.close_code
        elif parts.path == "/updateReports":
            seen["reports"] = query["agent"]

    options = dict(max_size=None, compression=None, ping_interval=None)
    async with websockets.serve(case, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        caller = await asyncio.create_subprocess_exec(
            WS_ECHO, "call", f"ws://127.0.0.1:{port}", "--agent", "judged",
            stdout=subprocess.DEVNULL)
        assert await asyncio.wait_for(caller.wait(), 60) == 0
    assert seen == {1: 1000, 2: 4000, 3: 4000, "reports": ["judged"]}, seen


async def main():
    with tempfile.TemporaryDirectory() as certificates:
        maker = os.path.join(os.path.dirname(__file__), "make_certificates.sh")
        subprocess.run([maker, certificates], check=True)
        await asyncio.wait_for(serve_and_judge(None), 100)
        await asyncio.wait_for(serve_and_judge(certificates), 100)
        await asyncio.wait_for(call_and_judge(), 100)
    print("ws_echo: ok")


asyncio.run(main())
