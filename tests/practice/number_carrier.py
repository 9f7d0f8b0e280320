#!/usr/bin/env python3
"""Twilio's REST API as far as numbers and accounts go, on 127.0.0.1, with a memory: what was bought is there, what was
released is not. As strict as the published description about form fields (tests/data/twilio-api.json), where Prism lets
unknown ones pass. With mishaps on order.

    with NumberCarrier({ACCOUNT: TOKEN}) as carrier:
        carrier.stock("+15550111")
        carrier.mishaps["buy"] = ["half"]      # the purchase is made, and the answer stops in the middle

Alone, for scripts: number_carrier.py ACCOUNT TOKEN [NUMBER...] prints its base and serves until it is killed; the numbers
are the account's, set up as Twilio does by default."""
import base64
import http.server
import json
import signal
import socket
import sys
import threading
import urllib.parse
from pathlib import Path

SCHEMA = json.loads((Path(__file__).resolve().parents[1] / "data/twilio-api.json").read_text())["paths"]
ROOT = "/2010-04-01/Accounts"
DEMO = "https://demo.twilio.com/welcome/voice/"
URLS = {"VoiceUrl", "VoiceFallbackUrl", "StatusCallback", "SmsUrl", "SmsFallbackUrl"}


def fields_of(path):
    post = SCHEMA[f"{ROOT}{path}"]["post"]
    return set(post["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"])


FIELDS = {"buy": fields_of("/{AccountSid}/IncomingPhoneNumbers.json"),
          "change": fields_of("/{AccountSid}/IncomingPhoneNumbers/{Sid}.json"), "open": fields_of(".json")}


def snake(name):
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")


def written(fields):
    """As an answer has them: a sid that was taken away is null."""
    return {snake(name): None if name.endswith("Sid") and not value else value for name, value in fields.items()
            if name != "AreaCode"}


def refusal(status, code, message):
    return status, {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}",
                    "status": status}


class NumberCarrier:
    def __init__(self, accounts):
        self.accounts = {sid: {"token": token, "friendly_name": "main", "status": "active"} for sid, token in
                         accounts.items()}
        self.main = next(iter(accounts))
        self.shelf, self.numbers = {}, {}  # what can be bought; what was, by sid
        self.sold, self.released, self.asked, self.asked_in = [], [], [], []  # in order, never forgotten; in which account
        self.mishaps = {}   # "buy": [..] how each next request of a kind goes wrong; see wrong()
        self.lock = threading.Lock()
        self.gate, self.held = threading.Event(), threading.Event()  # a mishap "hold" waits for the gate
        carrier = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                carrier.answer(self)

            do_POST = do_DELETE = do_GET

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    # ---- the world ----

    def stock(self, *numbers, country="US", kind="Local", gone=False):
        """Puts numbers on the shelf. gone: they are listed, and nobody gets them."""
        for number in numbers:
            self.shelf[number] = {"country": country, "kind": kind, "gone": gone}

    def own(self, number, account=None, **properties):
        """A number that the account has had for long, set up as Twilio does by default."""
        return self.add(account or self.main, number, {"FriendlyName": number} | properties)

    def add(self, account, number, fields):
        sid = f"PN{len(self.sold):032x}"
        row = {"sid": sid, "account_sid": account, "phone_number": number, "voice_method": "POST", "voice_url": DEMO,
               "voice_fallback_url": "", "voice_fallback_method": "POST", "voice_application_sid": None, "trunk_sid": None,
               "status_callback": "", "status_callback_method": "POST", "sms_url": "", "sms_method": "POST",
               "sms_application_sid": None, "capabilities": {"voice": True, "SMS": True, "mms": False, "fax": False}}
        row |= written(fields)
        self.numbers[sid] = row | {"phone_number": number}
        self.sold.append(number)
        return sid

    def number(self, number):
        return next((row for row in self.numbers.values() if row["phone_number"] == number), None)

    # ---- one request ----

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        path, _, query = handler.path.partition("?")
        fields = dict(urllib.parse.parse_qsl(body if handler.command == "POST" else query, keep_blank_values=True))
        parts = path.removeprefix(ROOT).removesuffix(".json").strip("/").split("/")
        kind, does = self.find(handler.command, parts)
        self.asked.append((kind, fields))
        self.asked_in.append((kind, parts[0]))
        if not does or not path.startswith(ROOT) or not path.endswith(".json"):
            return self.say(handler, *refusal(404, 20404, f"The requested resource {path} was not found"))
        if not self.may(handler, parts):
            return self.say(handler, *refusal(401, 20003, "Authenticate"))
        mishaps = self.mishaps.get(kind)
        mishap = mishaps.pop(0) if mishaps else None
        if mishap == "busy":
            return self.say(handler, *refusal(429, 20429, "Too Many Requests"))
        if mishap == "busy for an hour":
            return self.say(handler, *refusal(429, 20429, "Too Many Requests"), retry_after_s=3600)
        if mishap == "lost":  # nobody has seen it
            return self.cut(handler)
        if mishap == "hold before":
            self.held.set()
            self.gate.wait(60)
        with self.lock:
            status, result = does(parts, fields)
        self.wrong(handler, mishap, status, result)

    def wrong(self, handler, mishap, status, result):
        """What was asked is done by now, whatever is said."""
        if mishap == "hold after":
            self.held.set()
            self.gate.wait(60)
        if mishap == "failure":
            return self.say(handler, 500, {"message": "Internal server error"})
        if mishap == "gateway":
            return self.say(handler, 502, None, b"<html>Bad Gateway</html>")
        if mishap == "silence":
            return self.cut(handler)
        self.say(handler, status, result, half=mishap == "half", nonsense=mishap == "nonsense")

    def cut(self, handler):
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    def say(self, handler, status, result, body=None, half=False, nonsense=False, retry_after_s=None):
        if body is None:
            body = b"" if result is None else json.dumps(result).encode()
        if nonsense:
            body = b'{"sid": 5}'
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            if retry_after_s:
                handler.send_header("Retry-After", str(retry_after_s))
            if status != 204:
                handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[:len(body) // 2] if half else body)
        except OSError:
            return  # whoever asked is dead: what was done is done
        if half:
            self.cut(handler)

    def may(self, handler, parts):
        """The account's own token, or the main one's."""
        text = handler.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, token = base64.b64decode(text + "==").decode(errors="replace").partition(":")
        known = self.accounts.get(user)
        return known and known["token"] == token and user in (parts[0] or self.main, self.main)

    def find(self, method, parts):
        if parts == [""]:
            return {"GET": ("accounts", self.list_accounts), "POST": ("open", self.open_account)}.get(method, (None, None))
        if len(parts) == 2 and parts[1] == "IncomingPhoneNumbers":
            return {"GET": ("list", self.list_numbers), "POST": ("buy", self.buy)}.get(method, (None, None))
        if len(parts) == 3 and parts[1] == "IncomingPhoneNumbers":
            return {"POST": ("change", self.change), "DELETE": ("release", self.release)}.get(method, (None, None))
        if len(parts) == 4 and parts[1] == "AvailablePhoneNumbers" and method == "GET":
            return "search", self.search
        return None, None

    # ---- what can be asked ----

    def refuse_fields(self, kind, fields):
        unknown = set(fields) - FIELDS[kind]
        wrong = [name for name in URLS & set(fields) if fields[name] and not fields[name].startswith("https://")]
        if unknown or wrong:
            return refusal(400, 20001, f"Unknown or wrong parameters: {sorted(unknown) + wrong}")
        return None

    def page(self, path, name, items, fields):
        size, page = int(fields.get("PageSize", 50)), int(fields.get("Page", 0))
        more = len(items) > (page + 1) * size
        following = f"{path}?" + urllib.parse.urlencode(fields | {"Page": page + 1}) if more else None
        return 200, {name: items[page * size:(page + 1) * size], "page": page, "page_size": size, "next_page_uri": following}

    def list_accounts(self, parts, fields):
        rows = [{"sid": sid, "friendly_name": account["friendly_name"], "status": account["status"],
                 "auth_token": account["token"], "owner_account_sid": self.main, "type": "Full"}
                for sid, account in reversed(self.accounts.items())
                if account["friendly_name"] == fields.get("FriendlyName", account["friendly_name"])]
        return self.page(f"{ROOT}.json", "accounts", rows, fields)

    def open_account(self, parts, fields):
        refused = self.refuse_fields("open", fields)
        if refused:
            return refused
        sid = f"AC{0xb000 + len(self.accounts):032x}"
        self.accounts[sid] = {"token": f"token-of-{sid}", "friendly_name": fields["FriendlyName"], "status": "active"}
        return 201, self.list_accounts(parts, fields)[1]["accounts"][0]

    def list_numbers(self, parts, fields):
        rows = [row for row in self.numbers.values() if row["account_sid"] == parts[0] and
                row["friendly_name"] == fields.get("FriendlyName", row["friendly_name"]) and
                fields.get("PhoneNumber", "") in row["phone_number"]]  # a part is enough
        return self.page(f"{ROOT}/{parts[0]}/IncomingPhoneNumbers.json", "incoming_phone_numbers", rows, fields)

    def search(self, parts, fields):
        rows = [{"phone_number": number, "friendly_name": number, "locality": "Springfield", "region": "CA",
                 "iso_country": parts[2], "address_requirements": "none", "beta": False,
                 "capabilities": {"voice": True, "SMS": True, "MMS": False}}
                for number, told in self.shelf.items() if (told["country"], told["kind"]) == (parts[2], parts[3]) and
                number.startswith("+1" + fields["AreaCode"] if "AreaCode" in fields else "+") and fields.get("Contains", "").strip("*") in number]
        return self.page(f"{ROOT}/{'/'.join(parts)}.json", "available_phone_numbers", rows, fields)

    def buy(self, parts, fields):
        refused = self.refuse_fields("buy", fields)
        number = fields.get("PhoneNumber")
        if refused:
            return refused
        if number not in self.shelf or self.shelf[number]["gone"]:
            return refusal(400, 21422, f"{number} is not available.")
        del self.shelf[number]
        return 201, self.numbers[self.add(parts[0], number, fields)]

    def change(self, parts, fields):
        refused = self.refuse_fields("change", fields)
        row = self.numbers.get(parts[2])
        if refused or not row or row["account_sid"] != parts[0]:
            return refused or refusal(404, 20404, "The requested resource was not found")
        row |= written(fields)
        return 200, row

    def release(self, parts, fields):
        row = self.numbers.get(parts[2])
        if not row or row["account_sid"] != parts[0]:
            return refusal(404, 20404, "The requested resource was not found")
        self.released.append(self.numbers.pop(parts[2])["phone_number"])
        return 204, None


if __name__ == "__main__":
    with NumberCarrier({sys.argv[1]: sys.argv[2]}) as alone:
        for owned in sys.argv[3:]:
            alone.own(owned)
        print(alone.base, flush=True)
        signal.pause()
