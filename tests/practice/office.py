#!/usr/bin/env python3
"""Everything that is asked or told after a call, on loopback: an AI's REST API (responses, transcriptions), Resend, a
receiver of webhooks, Slack's incoming webhooks, and with --smtp a real SMTP server.

    office.py --listen 127.0.0.1:PORT [--smtp 127.0.0.1:PORT] [--verbose]

    POST /v1/responses, /v1/audio/transcriptions    as OpenAI documents them; what is not of that shape gets 400
    POST /emails                                    as Resend documents it, with its Idempotency-Key
    POST /hooks/NAME, /slack/NAME                   anything; kept with headers and exact bytes
    GET  /seen                                      everything that came, as JSON
    POST /mood {"/emails": ["500", "lost"]}         how the next requests to a path go wrong, in turn; a last element
                                                    "always" keeps to the one before it for ever

Moods: a status ("429", "500", "410"); garbage (200, and rubbish); slow (an answer after five seconds); lost (all is
done and the connection ends without an answer); gone (the connection ends before anything is done); of /v1/responses
also refusal, incomplete, other (JSON of another shape), quota."""
import argparse
import email.parser
import email.policy
import hashlib
import json
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
moods = {}
seen = {"responses": [], "transcriptions": [], "emails": {}, "hooks": [], "slack": [], "mails": [], "refused": []}


class Refused(Exception):
    def __init__(self, status, body):
        self.status, self.body = status, body


def need(condition, words, status=400):
    if not condition:
        raise Refused(status, {"error": {"message": words, "type": "invalid_request_error", "param": None, "code": None}})


def strict_schema(schema, place="schema"):
    """What strict mode asks of a schema: all members required, no other allowed, at every depth."""
    if schema.get("type") == "object":
        need(schema.get("additionalProperties") is False, f"{place}: additionalProperties must be false")
        need(sorted(schema.get("required", [])) == sorted(schema.get("properties", {})), f"{place}: required must list all")
        for name, member in schema["properties"].items():
            strict_schema(member, f"{place}.{name}")
    elif schema.get("type") == "array":
        strict_schema(schema["items"], f"{place}[]")
    else:
        need(schema.get("type") in ("string", "boolean", "integer", "number"), f"{place}: type {schema.get('type')!r}")


def invent(schema, said):
    """Something that fits the schema; texts hold what the caller said."""
    kind = schema.get("type")
    if kind == "object":
        return {name: invent(member, said) for name, member in schema["properties"].items()}
    if kind == "array":
        return [invent(schema["items"], said)]
    if kind == "string":
        return schema["enum"][0] if "enum" in schema else f"About: {said}"[:400]
    return kind == "boolean"


def read_question(request):
    known = {"model", "instructions", "input", "text", "max_output_tokens", "store", "reasoning", "metadata"}
    need(isinstance(request, dict) and not set(request) - known, f"unknown members: {set(request) - known}")
    need(isinstance(request.get("model"), str), "model")
    need(isinstance(request.get("instructions"), str), "instructions")
    need(request.get("max_output_tokens", 16) >= 16, "max_output_tokens: at least 16")
    need(isinstance(request.get("input"), list) and request["input"], "input")
    for item in request["input"]:
        need(set(item) == {"role", "content"} and item["role"] in ("user", "assistant", "developer") and
             isinstance(item["content"], str), "input: role and content")
    shape = request["text"]["format"]
    need(shape["type"] == "json_schema" and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", shape["name"]) and shape["strict"] is True,
         "text.format")
    strict_schema(shape["schema"])
    return shape["schema"], request["input"][-1]["content"]


def respond(handler, body, mood):
    request = json.loads(body)
    schema, text = read_question(request)
    with lock:
        seen["responses"].append(request)
        number = len(seen["responses"])
    said = [line[8:] for line in text.split("\n") if line.startswith("caller: ")]
    answer = {"id": f"resp_{number:08x}", "object": "response", "status": "completed", "error": None,
              "incomplete_details": None, "model": request["model"], "output": [
                  {"type": "reasoning", "id": "rs_1", "summary": []},
                  {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                      {"type": "output_text", "annotations": [], "text": json.dumps(invent(schema, "; ".join(said)))}]}],
              "usage": {"input_tokens": len(text) // 4, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 60,
                        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": len(text) // 4 + 60}}
    if mood == "refusal":
        answer["output"][1]["content"] = [{"type": "refusal", "refusal": "I cannot help with that."}]
    if mood == "incomplete":
        answer |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    if mood == "other":
        answer["output"][1]["content"][0]["text"] = '{"summary": 7}'
    return 200, answer


def transcribe(handler, body, mood):
    head = f"Content-Type: {handler.headers['Content-Type']}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    need(form.is_multipart(), "multipart/form-data is needed")
    fields, sound, name = {}, None, None
    for part in form.iter_parts():
        field = part.get_param("name", header="content-disposition")
        if field == "file":
            sound, name = part.get_payload(decode=True), part.get_filename()
        else:
            fields[field] = part.get_payload(decode=True).decode()
    need(set(fields) <= {"model", "response_format", "language"}, f"unknown fields: {set(fields)}")
    need(fields.get("model") and fields.get("response_format") == "json", "model and response_format")
    need(sound, "file")
    need(re.search(r"\.(flac|mp3|mp4|mpeg|mpga|m4a|ogg|opus|wav|webm)$", name or ""), f"file name {name!r} tells no format")
    need(sound[:4] in (b"RIFF", b"OggS", b"fLaC") or sound[:3] == b"ID3" or sound[:1] == b"\xff", "this is no sound")
    with lock:
        seen["transcriptions"].append({"name": name, "bytes": len(sound), "sha256": hashlib.sha256(sound).hexdigest()} | fields)
    return 200, {"text": f"Please call me back, this is a message of {len(sound)} bytes.",
                 "usage": {"type": "duration", "seconds": 3}}


def resend_error(status, name, message):
    raise Refused(status, {"statusCode": status, "name": name, "message": message})


def take_email(handler, body, mood):
    """The key's first request decides: the same again gets the same answer, another body an error."""
    if not re.fullmatch(r"Bearer re_\w+", handler.headers.get("Authorization", "")):
        resend_error(401, "missing_api_key", "no API key")
    if not handler.headers.get("User-Agent"):
        resend_error(403, "validation_error", "no user agent")
    key = handler.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= 256:
        resend_error(400, "invalid_idempotency_key", "1 to 256 characters")
    request = json.loads(body)
    unknown = set(request) - {"from", "to", "reply_to", "cc", "bcc", "subject", "text", "html", "headers", "tags", "attachments"}
    if unknown or not all(isinstance(request.get(name), str) and request[name] for name in ("from", "subject", "html", "text")):
        resend_error(422, "missing_required_field", f"unknown {unknown}, or from, subject, html or text missing")
    if not isinstance(request.get("to"), list) or not 1 <= len(request["to"]) <= 50:
        resend_error(422, "validation_error", "to")
    with lock:
        known = seen["emails"].setdefault(key, {"id": f"{len(seen['emails']):08x}-0000-4000-8000-00000000000a",
                                                "body": request, "raw": body.decode(), "requests": 0})
        known["requests"] += 1
        if known["raw"] != body.decode():
            known["other_bodies"] = known.get("other_bodies", 0) + 1
    if known["raw"] != body.decode():
        resend_error(409, "invalid_idempotent_request", "the same key with another body")
    return 200, {"id": known["id"]}


def take_hook(handler, body, mood):
    with lock:
        seen["hooks"].append({"path": handler.path, "body": body.decode(), "at": time.time(), "mood": mood,
                              "headers": {name.lower(): value for name, value in handler.headers.items()}})
    return 200, {"ok": True}


def take_slack(handler, body, mood):
    message = json.loads(body)
    need(set(message) <= {"text", "blocks"} and isinstance(message.get("text"), str), "invalid_payload")
    with lock:
        seen["slack"].append({"path": handler.path, "text": message["text"]})
    return 200, "ok"


PLACES = [(r"/v1/responses", respond), (r"/v1/audio/transcriptions", transcribe), (r"/emails", take_email),
          (r"/hooks/\w+", take_hook), (r"/slack/\w+", take_slack)]


def next_mood(path):
    with lock:
        queue = moods.get(path, [])
        if len(queue) == 2 and queue[1] == "always":
            return queue[0]
        return queue.pop(0) if queue else None


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *words):
        if self.server.verbose:
            sys.stderr.write(f"{self.command} {self.path}\n")

    def answer(self, status, body, headers=()):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def vanish(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self):
        with lock:
            self.answer(200, seen)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/mood":
            with lock:
                moods.update(json.loads(body))
            return self.answer(200, {})
        take = next((take for place, take in PLACES if re.fullmatch(place, self.path)), None)
        if not take:
            return self.answer(404, {"error": {"message": "no such place"}})
        mood = next_mood(self.path)
        if mood == "gone":
            return self.vanish()
        if mood and mood.isdigit():
            if take is take_hook:
                take(self, body, mood)
            name = {"409": "concurrent_idempotent_requests", "429": "rate_limit_exceeded"}.get(mood, "internal_server_error")
            return self.answer(int(mood), {"name": name, "message": "a mood", "error": {"message": "a mood", "code": None}},
                               [("Retry-After", "1")] if mood in ("429", "503") else [])
        if mood == "quota":
            return self.answer(429, {"error": {"message": "no money", "code": "insufficient_quota"}})
        if mood == "garbage":
            return self.answer(200, "<html>It works!</html>")
        try:
            if take in (respond, transcribe):
                need(self.headers.get("Authorization", "").startswith("Bearer "), "no key", 401)
            status, answer = take(self, body, mood)
        except Refused as refused:
            with lock:
                seen["refused"].append({"path": self.path, "status": refused.status, "body": refused.body})
            return self.answer(refused.status, refused.body)
        except (ValueError, KeyError, TypeError) as error:
            with lock:
                seen["refused"].append({"path": self.path, "status": 400, "body": repr(error)})
            return self.answer(400, {"error": {"message": repr(error)}})
        if mood == "lost":
            return self.vanish()
        if mood == "slow":
            time.sleep(5)
        self.answer(status, answer)


class Mailbox:
    """Keeps what SMTP brought. Moods of "smtp": 451, 550, lost (kept, and then the connection ends)."""

    async def handle_DATA(self, server, session, envelope):
        mood = next_mood("smtp")
        if mood in ("451", "550"):
            return f"{mood} a mood"
        with lock:
            seen["mails"].append({"from": envelope.mail_from, "to": envelope.rcpt_tos,
                                  "content": envelope.content.decode("ascii"), "mood": mood})
        if mood == "lost":
            server.transport.abort()
        return "250 kept"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--smtp")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    host, port = options.listen.rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    server.verbose = options.verbose
    if options.smtp:
        from aiosmtpd.controller import Controller
        smtp_host, smtp_port = options.smtp.rsplit(":", 1)
        Controller(Mailbox(), hostname=smtp_host, port=int(smtp_port)).start()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
