"""Numbers and accounts at the carrier: searched, bought once whatever dies or is not answered, set up, compared with what
we want, called, given back. The carrier is played by tests/practice/number_carrier.py; that what we ask is what Twilio
describes is tests/control/twilio_rest_test.c's business."""
import json
import os
import random
import signal
import subprocess
import sys
import threading

from api import ask as api, token
from system import ACCOUNT, BIN, PUBLIC_URL, ROOT, TOKEN, System, eventually as within, free_port, run

sys.path.insert(0, str(ROOT / "tests/practice"))
from number_carrier import NumberCarrier  # noqa: E402

NUMBER, OTHER, THIRD = "+15550111", "+15550112", "+15550113"
VOICE = f"{PUBLIC_URL}/api/twilio/incoming-call#rc=3&rp=all"
PATIENCE_S = 90  # ends hopeless waits only; more than any request of ours may take, and than a command waits
STATUS = f"{PUBLIC_URL}/api/twilio/status-callback#rc=5&rp=all"


def eventually(what, check):
    return within(what, check, PATIENCE_S)


def world(carrier):
    system = System()
    system.settings["TWILIO_API_BASE"] = carrier.base
    return system


def buyer(system, name="A", spend="100", price="1.15"):
    """An organisation that may buy."""
    org = system.control("org", "add", name).strip().split()[-1]
    system.control("number", "price", "US", "local", price, "USD")
    system.control("number", "limit", spend, "USD", "--org", org)
    return org


def ask(system, *words):
    """A command's status and all it says."""
    done = subprocess.run([BIN / "ringbridge-control", *map(str, words)], text=True, capture_output=True,
                          env=system.environment())
    return done.returncode, done.stdout + done.stderr


def change(system, statement):
    subprocess.run(["psql", system.database_url, "-Xqc", "SET row_security = off", "-c", statement], check=True,
                   capture_output=True)


def hurry(system, leases=False):
    """Pauses are for others, and so is the minute after which an unanswered request must have had its effect. leases: those
    of the dead too."""
    change(system, "UPDATE number_orders SET asked_at = asked_at - interval '2 minutes' WHERE state = 'asked'")
    change(system, "UPDATE jobs SET due_at = now() WHERE state = 'queued'" + (" OR state = 'leased'" if leases else ""))


def order(system, key):
    return next(iter(system.sql(f"SELECT * FROM number_orders WHERE idempotency_key = '{key}'")), None)


def start_buying(system, org, key, *flags):
    return subprocess.Popen([BIN / "ringbridge-control", "number", "buy", "--org", org, "--key", key, *flags], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=system.environment())


def says(buying, number):
    """The command names the number, or that it has waited long enough: the order goes on without it."""
    said = buying.communicate(timeout=PATIENCE_S)[0]
    assert said.strip() == number or "is not carried out yet" in said, said


def metric(system, name):
    return system.metric(f"ringbridge_control_{name}_total")


class Judge:
    """Stoplight's Prism between us and the carrier: what either says otherwise than Twilio's published description is an
    error, ours or the practice carrier's."""

    def __init__(self, carrier):
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            ["node", ROOT / "tests/node_modules/@stoplight/prism-cli/dist/index.js", "proxy", "--errors", "--host", "127.0.0.1",
             "--port", str(port), ROOT / "tests/data/twilio-api.json", carrier.base], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=os.environ | {"SCARF_ANALYTICS": "false", "NO_COLOR": "1"})
        self.said = []
        if not any("Prism is listening" in self.keep(line) for line in self.process.stdout):
            raise AssertionError("Prism did not come up: " + "".join(self.said))
        self.said.clear()  # it has listed every path with examples of random words, and "error" is one of them
        threading.Thread(target=lambda: [self.keep(line) for line in self.process.stdout], daemon=True).start()

    def keep(self, line):
        self.said.append(line)
        return line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


# ---- the whole way ----

def rings(system, number, org):
    """A call to the number is the organisation's."""
    before = {row["id"] for row in system.sql("SELECT id FROM conversations")}
    assert system.call(say=["Hello."], to=number), "nobody answered"
    owners = [row["organization_id"] for row in system.sql("SELECT id, organization_id FROM conversations")
              if row["id"] not in before]
    assert owners == [org], owners


def texts(system, url, number):
    fields = {"MessageSid": "SM" + "7" * 32, "AccountSid": ACCOUNT, "From": "+15550177", "To": number, "Body": "Open today?",
              "NumMedia": "0"}
    status, answer = system.post(url.removeprefix(PUBLIC_URL).partition("#")[0], fields)[:2]
    assert status == 200 and "<Response" in str(answer), (status, answer)


def checks(system):
    return {row["phone_number"]: row["state"] for row in system.sql(
        "SELECT n.phone_number, c.state FROM number_checks AS c JOIN phone_numbers AS n ON n.id = c.phone_number_id")}


def a_number_is_bought_set_up_verified_routed_and_given_back():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, Judge(carrier) as judge, world(judge) as system:
        org, neighbour = buyer(system), buyer(system, "B")
        carrier.stock(NUMBER, OTHER)
        carrier.stock("+491555", country="DE", kind="Mobile")
        found = json.loads(system.control("number", "search", "--area-code", "555", "--json"))
        assert [row["number"] for row in found] == [NUMBER, OTHER] and found[0]["capabilities"] == ["voice", "sms"]
        searched = search(system, token(system, org, "operator"), area_code="555", limit=1)
        assert (searched["state"], searched["numbers"]) == ("done", found[:1]), searched

        # Bought, and set up as it is bought.
        assert system.control("number", "buy", "--org", org, "--area-code", "555").strip() == NUMBER
        assert system.control("number", "buy", OTHER, "--org", neighbour).strip() == OTHER
        row = carrier.number(NUMBER)
        assert (row["voice_url"], row["voice_fallback_url"], row["status_callback"]) == (VOICE, VOICE, STATUS), row
        assert row["sms_url"] == f"{PUBLIC_URL}/api/twilio/incoming-sms#rc=3&rp=all"
        assert {row[f"{name}_method"] for name in ("voice", "voice_fallback", "status_callback", "sms")} == {"POST"}
        kept = system.sql(f"SELECT * FROM number_orders WHERE organization_id = '{org}'")[0]
        assert (kept["state"], kept["phone_number"], kept["number_sid"], kept["account_sid"]) == (
            "bought", NUMBER, row["sid"], ACCOUNT), kept
        assert row["friendly_name"] == f"ringbridge {kept['id']}"
        assert ask(system, "number", "verify") == (0, "2 numbers compared, 0 differences\n")

        # Somebody changes it at Twilio: each difference has its name, and is mended on request.
        row |= {"voice_url": "https://elsewhere.example.com/", "status_callback_method": "GET", "sms_url": ""}
        status, said = ask(system, "doctor", "--socket", system.socket_path)
        assert status == 1 and said.count("\nwrong  at twilio") == 3, said
        for difference in (f'voice_url is "https://elsewhere.example.com/", wanted "{VOICE}"',
                           'status_callback_method is "GET", wanted "POST"', 'sms_url is "", wanted "'):
            assert f"{NUMBER} (A): {difference}" in said, (difference, said)
        assert ask(system, "doctor", "--mend", "--socket", system.socket_path)[0] == 0
        assert (row["voice_url"], row["status_callback_method"]) == (VOICE, "POST"), row
        assert ask(system, "number", "verify") == (0, "2 numbers compared, 0 differences\n")

        # Calls and messages come to whose number it is.
        rings(system, NUMBER, org)
        rings(system, OTHER, neighbour)
        texts(system, row["sms_url"], OTHER)
        received = json.loads(system.control("message", "texts", "--json"))
        assert [(text["to"], text["body"], text["organization"]) for text in received] == [(OTHER, "Open today?", "B")]

        # Given back.
        assert system.control("number", "release", NUMBER, "--org", org) == f"released {NUMBER}\n"
        assert carrier.released == [NUMBER] and carrier.number(NUMBER) is None
        assert system.sql("SELECT phone_number FROM phone_numbers") == [{"phone_number": OTHER}]
        said = [(row["what"], row["phone_number"]) for row in system.sql(
            f"SELECT what, phone_number FROM carrier_changes WHERE organization_id = '{org}' ORDER BY created_at")]
        assert said == [("limited", None), ("ordered", None), ("bought", NUMBER), ("mended", NUMBER),
                        ("release_ordered", NUMBER), ("released", NUMBER)], said
        eventually("it is counted", lambda: (metric(system, "numbers_bought"), metric(system, "numbers_released")) == (2, 1))
        status, said = ask(system, "number", "release", NUMBER, "--org", org)
        assert status == 1 and "has no such number" in said, said
        errors = [line for line in judge.said if "error" in line.lower()]
        assert judge.said and not errors, errors


def searches(carrier):
    """How often the carrier was asked what there is."""
    return [kind for kind, _ in carrier.asked].count("search")


def search(system, bearer, **wanted):
    """What came of a search through the API."""
    status, headers, asked = api(system, "POST", "/api/number-searches", bearer, wanted)
    assert (status, asked["state"], asked["numbers"], asked["error"]) == (202, "queued", [], None), (status, asked)
    assert headers["Location"] == f"/api/number-searches/{asked['id']}"
    return eventually("the search is over", lambda: hurry(system) or (
        now := api(system, "GET", headers["Location"], bearer)[2])["state"] != "queued" and now)


def a_search_through_the_api_ends_with_numbers_or_in_words():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        org, other = buyer(system), buyer(system, "B")
        bearer, foreign = token(system, org, "operator", "--rate", "60000"), token(system, other, "operator")
        carrier.stock(*(f"+1555040{n}" for n in range(9)))
        carrier.stock("+491555", country="DE", kind="Mobile")
        found = search(system, bearer, country="US", contains="555040*", limit=3)
        assert [row["number"] for row in found["numbers"]] == ["+15550400", "+15550401", "+15550402"], found
        assert search(system, bearer, country="DE", kind="mobile")["numbers"][0]["number"] == "+491555"
        empty = search(system, bearer, area_code="999")
        assert (empty["state"], empty["numbers"]) == ("done", []), empty
        # Each of these once: it is asked again, and answered.
        for mishap in ("busy", "lost", "failure", "gateway", "silence", "half", "nonsense"):
            carrier.mishaps["search"] = [mishap]
            again = search(system, bearer, limit=2)
            assert (again["state"], len(again["numbers"])) == ("done", 2) and not carrier.mishaps["search"], (mishap, again)
        # Each of these for ever, and what nobody waits for: failed, and it says why.
        for mishap, why in (("busy", "Twilio answered 429"), ("failure", "Twilio answered 500"), ("half", ""), ("nonsense", ""),
                            ("busy for an hour", "Twilio answered 429")):
            before, carrier.mishaps["search"] = searches(carrier), [mishap] * 9
            failed = search(system, bearer)
            assert failed["state"] == "failed" and why in failed["error"] and len(failed["error"]) > 9, (mishap, failed)
            assert searches(carrier) - before == (1 if "hour" in mishap else 4), (mishap, carrier.asked)
        carrier.mishaps["search"] = []
        del carrier.accounts[ACCOUNT]
        refused = search(system, bearer)
        assert refused["state"] == "failed" and "401" in refused["error"], refused
        carrier.accounts[ACCOUNT] = {"token": TOKEN, "friendly_name": "main", "status": "active"}
        assert api(system, "GET", f"/api/number-searches/{found['id']}", foreign)[0] == 404
        assert api(system, "GET", "/api/number-searches", foreign)[2]["items"] == []
        asked = [fields for kind, fields in carrier.asked if kind == "search"]
        assert {fields["VoiceEnabled"] for fields in asked} == {"true"} and carrier.sold == [], asked
        # No more than ten wait.
        change(system, "UPDATE number_searches SET state = 'queued', finished_at = NULL, error = NULL, "
               "deadline_at = now() + interval '5 minutes'")
        status, headers, problem = api(system, "POST", "/api/number-searches", bearer, {})
        assert status == 429 and int(headers["Retry-After"]) > 0 and "wait already" in problem["detail"], problem
        change(system, "UPDATE number_searches SET deadline_at = now()")
        items = api(system, "GET", "/api/number-searches?state=failed", bearer)[2]["items"]
        assert len(items) > 10 and all("in time" in item["error"] for item in items), items
        assert search(system, bearer, limit=1)["state"] == "done"


def the_api_buys_compares_and_gives_back():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        org = buyer(system)
        carrier.stock(NUMBER)
        bearer = token(system, org)
        status, headers, placed = api(system, "POST", "/api/number-orders", bearer, {"area_code": "555"},
                                      Idempotency_Key="mine")
        assert status == 202 and placed["state"] in ("ordered", "asked", "bought"), placed
        eventually("it is bought", lambda: api(system, "GET", headers["Location"], bearer)[2]["state"] == "bought")
        again = api(system, "POST", "/api/number-orders", bearer, {"area_code": "555"}, Idempotency_Key="mine")
        assert again[0] == 202 and again[2]["id"] == placed["id"] and carrier.sold == [NUMBER], again
        assert api(system, "POST", "/api/number-orders", bearer, {"area_code": "x"})[0] == 422
        limit = api(system, "GET", "/api/number-limits", bearer)[2]["items"][0]
        assert (limit["spend_max"], limit["this_month"]) == ("100.0000", "1.1500"), limit

        def compared(state, **body):
            job = api(system, "POST", "/api/number-checks", bearer, body)
            assert job[0] == 202, job
            eventually("it is compared", lambda: api(system, "GET", job[1]["Location"], bearer)[2]["state"] == "done")
            item = api(system, "GET", f"/api/number-checks?state={state}", bearer)[2]["items"]
            assert len(item) == 1 and item[0]["number"] == NUMBER, (state, checks(system))
            eventually("the gauge says so",
                       lambda: system.metric(f'ringbridge_control_numbers_checked{{state="{state}"}}') == 1)
            return item[0]["differences"]
        assert compared("as_wanted") == []
        carrier.number(NUMBER)["voice_url"] = ""
        assert compared("differs") == [{"property": "voice_url", "has": "", "wants": VOICE, "mended": False}]
        assert compared("as_wanted", number=NUMBER, mend=True)[0]["mended"] and carrier.number(NUMBER)["voice_url"] == VOICE
        carrier.mishaps["list"] = ["busy"]
        api(system, "POST", "/api/number-checks", bearer, {})
        eventually("it was not told", lambda: checks(system) == {NUMBER: "unasked"})
        eventually("and is asked again", lambda: hurry(system) or checks(system) == {NUMBER: "as_wanted"})
        assert "as_wanted" in system.control("number", "checks", "--org", org)
        assert api(system, "POST", "/api/number-releases", bearer, {"number": OTHER})[0] == 422
        assert api(system, "POST", "/api/number-releases", bearer, {"number": NUMBER})[0] == 202
        eventually("it is given back", lambda: carrier.released == [NUMBER] and not system.sql("SELECT FROM phone_numbers"))
        changed = api(system, "GET", "/api/carrier-changes", bearer)[2]["items"]
        assert [row["what"] for row in changed] == ["released", "release_ordered", "mended", "bought", "ordered", "limited"]
        assert {row["by"] for row in changed[:-1]} == {f"api token {system.sql('SELECT id FROM api_tokens')[0]['id']}"}, changed


# ---- once ----

def an_answer_that_did_not_come_is_found_and_nothing_is_bought_twice():
    mishaps = ["busy", "lost", "failure", "gateway", "silence", "half", "nonsense"]
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        org = buyer(system)
        for count, mishap in enumerate(mishaps, 1):
            carrier.stock(f"+1555020{count}", f"+1555021{count}")
            carrier.mishaps["buy"] = [mishap]
            buying = start_buying(system, org, mishap)

            def is_bought():
                hurry(system)
                found = order(system, mishap)
                return found and found["state"] == "bought" and found
            bought = eventually(f"{mishap}: the number is ours", is_bought)
            says(buying, bought["phone_number"])
            assert len(carrier.sold) == count, (mishap, carrier.sold)
            assert carrier.number(bought["phone_number"])["sid"] == bought["number_sid"]
            for number in (f"+1555020{count}", f"+1555021{count}"):
                carrier.shelf.pop(number, None)
        asked = [fields["PhoneNumber"] for kind, fields in carrier.asked if kind == "buy"]
        assert asked.count("+15550201") == 2 and asked.count("+15550206") == 1, asked
        assert len(system.sql("SELECT * FROM phone_numbers")) == len(mishaps)


def killed_at_any_moment_it_buys_exactly_one():
    dice = random.Random(5)
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        org = buyer(system)
        for count in range(1, 7):
            carrier.stock(f"+1555030{count}", f"+1555031{count}")
            how = ("hold before", "hold after")[count % 2] if count <= 4 else None
            carrier.mishaps["buy"] = [how] if how else []
            carrier.gate.clear()
            carrier.held.clear()
            buying = start_buying(system, org, f"kill-{count}")
            if how:
                assert carrier.held.wait(PATIENCE_S), how
            else:
                eventually("it is ordered", lambda: order(system, f"kill-{count}"))
                threading.Event().wait(dice.random() * 0.6)  # the moment is the dice's
            system.stop("control", signal.SIGKILL)
            carrier.gate.set()
            hurry(system, leases=True)
            system.start_control()

            def is_bought():
                hurry(system)
                found = order(system, f"kill-{count}")
                return found["state"] == "bought" and found
            bought = eventually(f"{count}: the number is ours", is_bought)
            says(buying, bought["phone_number"])
            assert len(carrier.sold) == count, (how, carrier.sold)
            for number in (f"+1555030{count}", f"+1555031{count}"):
                carrier.shelf.pop(number, None)
        assert len(system.sql("SELECT * FROM phone_numbers")) == 6


def an_answer_that_takes_too_long_is_given_up_and_found():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        org = buyer(system)
        carrier.stock(NUMBER, OTHER)
        carrier.mishaps |= {"search": ["hold before"], "buy": ["hold after"]}  # sold, and nothing is said for as long as we wait
        bearer = token(system, org)
        searched = api(system, "POST", "/api/number-searches", bearer, {})[1]["Location"]
        assert carrier.held.wait(PATIENCE_S)
        placed = api(system, "POST", "/api/number-orders", bearer, {})[2]["id"]
        eventually("it was given up", lambda: metric(system, "numbers_doubted") == 1)
        eventually("what only asks is asked again", lambda: change(
            system, "UPDATE jobs SET due_at = now() WHERE kind = 'number_search' AND state = 'queued'")
                   or searches(carrier) == 3)  # two of these, and what the order asked
        carrier.gate.set()
        eventually("it is answered", lambda: api(system, "GET", searched, bearer)[2]["state"] == "done")
        eventually("it is found", lambda: hurry(system) or system.sql(
            f"SELECT FROM number_orders WHERE id = '{placed}' AND state = 'bought'"))
        assert len(carrier.sold) == 1 and [kind for kind, _ in carrier.asked].count("buy") == 1, carrier.asked
        assert metric(system, "numbers_found") == 1


def a_number_that_is_gone_is_passed_over():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        org = buyer(system)
        carrier.stock(NUMBER, gone=True)
        carrier.stock(OTHER)
        buying = start_buying(system, org, "any")
        eventually("the first was gone", lambda: (found := order(system, "any")) and found["passed_over"] == [NUMBER])

        def is_bought():
            hurry(system)
            return order(system, "any")["state"] == "bought"
        eventually("the second is ours", is_bought)
        says(buying, OTHER)
        status, said = ask(system, "number", "buy", NUMBER, "--org", org)
        assert status == 1 and "21422" in said, said
        status, said = ask(system, "number", "buy", "--org", org, "--area-code", "999")
        assert status == 1 and "the carrier has no such number" in said, said
        assert carrier.sold == [OTHER]


# ---- who may, and how much ----

def nobody_spends_more_than_is_allowed():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        carrier.stock(NUMBER, OTHER, THIRD)
        org = system.control("org", "add", "A").strip().split()[-1]
        for words, why in (((), "what a number costs is not known"),
                           (("number", "price", "US", "local", "1.15", "USD"), "may not spend anything"),
                           (("number", "limit", "20", "EUR", "--org", org), "different currencies"),
                           (("number", "limit", "1.14", "USD", "--org", org), "more than its numbers may cost")):
            if words:
                system.control(*words)
            status, said = ask(system, "number", "buy", "--org", org)
            assert status == 1 and why in said, said
        assert carrier.asked == [] and system.sql("SELECT * FROM number_orders") == []
        system.control("number", "limit", "2.50", "USD", "--org", org)
        both = [start_buying(system, org, f"at-once-{n}") for n in range(3)]
        said = [done.communicate(timeout=PATIENCE_S)[0] for done in both]
        assert sum("more than its numbers may cost" in text for text in said) == 1, said
        assert len(carrier.sold) == 2, carrier.sold
        number = carrier.sold[0]
        assert json.loads(system.control("number", "limit", "--json"))[0]["this_month"] == "2.3000"
        system.control("number", "release", number, "--org", org)
        status, said = ask(system, "number", "buy", "--org", org)
        assert status == 1 and "more than" in said, "the month of a number that was given back is paid for"
        change(system, "UPDATE number_orders SET released_at = now() - interval '32 days' WHERE state = 'released'")
        key = ("--org", org, "--key", "again")
        assert ask(system, "number", "buy", *key)[1] == ask(system, "number", "buy", *key)[1] == THIRD + "\n"
        assert len(carrier.sold) == 3
        status, said = ask(system, "number", "buy", "--area-code", "555", *key)
        assert status == 1 and "was given to another order" in said, said


# ---- what is and what should be ----

def doctor_names_each_difference_and_mends_it():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        system.organisation("A", NUMBER)
        system.control("number", "add", OTHER, "--org", "A")
        system.control("number", "add", THIRD, "--org", "A")
        carrier.own(NUMBER, VoiceUrl=VOICE, VoiceFallbackUrl=VOICE, StatusCallback=STATUS, SmsUrl=f"{PUBLIC_URL}/api/twilio/"
                    "incoming-sms#rc=3&rp=all", VoiceMethod="post")
        carrier.own(OTHER, VoiceApplicationSid="AP" + "0" * 32, StatusCallback=STATUS, StatusCallbackMethod="GET")
        carrier.own("+15550114")
        status, said = ask(system, "doctor", "--socket", system.socket_path)
        assert status == 1 and f"{THIRD} (A): account {ACCOUNT} does not have it" in said, said
        assert f"+15550114: account {ACCOUNT} has it, and no organisation" in said
        for difference in (f'voice_url is "https://demo.twilio.com/welcome/voice/", wanted "{VOICE}"',
                           f'voice_fallback_url is "", wanted "{VOICE}"', 'status_callback_method is "GET", wanted "POST"',
                           f'voice_application_sid is "AP{"0" * 32}", wanted ""'):
            assert f"{OTHER} (A): {difference}" in said, (difference, said)
        assert f"{NUMBER} (A)" not in said and "\nwrong  at twilio    " in said, said
        carrier.mishaps["change"] = ["busy"]
        status, said = ask(system, "doctor", "--mend", "--socket", system.socket_path)
        assert status == 1 and f"{OTHER}: account {ACCOUNT}: Twilio answered 429" in said, said
        status, said = ask(system, "number", "verify", OTHER, "--org", "A")
        assert status == 1 and "1 numbers compared, 5 differences" in said, said
        status, said = ask(system, "doctor", "--mend", "--socket", system.socket_path)
        assert status == 1 and f"{OTHER} (A): voice_url was" in said and ": mended" in said, said
        system.control("number", "remove", THIRD)
        assert ask(system, "number", "verify", "--org", "A") == (0, "2 numbers compared, 0 differences\n")
        mended = system.sql("SELECT phone_number, detail FROM carrier_changes WHERE what = 'mended'")
        assert len(mended) >= 1 and mended[-1]["phone_number"] == OTHER, mended
        assert mended[-1]["detail"]["status_callback_method"] == "GET", mended
        assert ask(system, "doctor", "--socket", system.socket_path)[0] == 0, "nobody's number is a note"
        carrier.mishaps["list"] = ["half"]
        status, said = ask(system, "number", "verify")
        assert status == 1 and f"account {ACCOUNT}:" in said, said


# ---- accounts ----

def an_organisation_gets_an_account_of_its_own_once():
    with NumberCarrier({ACCOUNT: TOKEN}) as carrier, world(carrier) as system:
        org = buyer(system)
        carrier.stock(NUMBER)
        carrier.mishaps["open"] = ["half"]
        opening = subprocess.Popen([BIN / "ringbridge-control", "account", "add", "--org", org], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=system.environment())

        def is_there():
            hurry(system)
            return json.loads(system.control("account", "list", "--json"))
        account = eventually("it has an account", is_there)[0]["account"]
        said = opening.communicate(timeout=PATIENCE_S)[0]
        assert said.strip() == account or "is not made yet" in said, said
        assert list(carrier.accounts) == [ACCOUNT, account], "one, and one only"
        status, said = ask(system, "account", "add", "--org", org)
        assert status == 1 and f"the organisation has an account: {account}" in said, said
        assert search(system, token(system, org, "operator"))["state"] == "done" and [
            where for kind, where in carrier.asked_in if kind == "search"] == [account]
        assert system.control("number", "buy", "--org", org).strip() == NUMBER
        assert carrier.number(NUMBER)["account_sid"] == account
        fields = {"CallSid": "CA" + "1" * 32, "AccountSid": account, "From": "+15550177", "To": NUMBER,
                  "CallStatus": "ringing", "Direction": "inbound"}
        own = carrier.accounts[account]["token"]
        assert system.post("/api/twilio/incoming-call", fields, token=TOKEN)[0] == 403
        assert system.post("/api/twilio/incoming-call", fields, token=own)[0] == 200
        put_token(system, org, account, "the-secondary-one")  # the primary one becomes the previous one
        eventually("the new token is known", lambda: system.post(
            "/api/twilio/incoming-call", fields, token="the-secondary-one")[0] == 200)
        assert system.post("/api/twilio/incoming-call", fields, token=own)[0] == 200
        sealed = "SELECT encode(sealed, 'hex') AS one, encode(sealed_previous, 'hex') AS other FROM credentials"
        before = system.sql(sealed)[0]
        system.settings |= {"RINGBRIDGE_SECRET_KEY": "6f" * 32, "RINGBRIDGE_SECRET_KEY_PREVIOUS": "5e" * 32}
        assert system.control("account", "rotate") == "2 secrets are sealed with RINGBRIDGE_SECRET_KEY\n"
        after = system.sql(sealed)[0]
        assert not {before["one"], before["other"]} & {after["one"], after["other"]}
        del system.settings["RINGBRIDGE_SECRET_KEY_PREVIOUS"]
        system.stop("control")
        system.start_control()
        eventually("edge has control again", lambda: system.post(
            "/api/twilio/incoming-call", fields, token="the-secondary-one")[0] == 200)
        assert system.post("/api/twilio/incoming-call", fields, token=own)[0] == 200
        for name in ("control", "edge"):
            assert own not in system.log(name) and TOKEN not in system.log(name), name


def put_token(system, org, account, token):
    subprocess.run([BIN / "ringbridge-control", "credential", "add", "twilio", "--org", org, "--account", account],
                   input=token + "\n", text=True, check=True, capture_output=True, env=system.environment())


if __name__ == "__main__":
    run(a_number_is_bought_set_up_verified_routed_and_given_back, a_search_through_the_api_ends_with_numbers_or_in_words,
        the_api_buys_compares_and_gives_back,
        an_answer_that_did_not_come_is_found_and_nothing_is_bought_twice, an_answer_that_takes_too_long_is_given_up_and_found,
        killed_at_any_moment_it_buys_exactly_one,
        a_number_that_is_gone_is_passed_over, nobody_spends_more_than_is_allowed,
        doctor_names_each_difference_and_mends_it, an_organisation_gets_an_account_of_its_own_once)
