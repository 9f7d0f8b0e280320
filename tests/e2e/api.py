"""The REST API through the edge: every path of its OpenAPI document, rightly and wrongly, judged by programs that are not
ours (api_judge.mjs); a live call hung up by it; one key under many hands; and the command line beside it."""
import concurrent.futures
import json
import re
import subprocess
import urllib.request
import uuid

from orders import live_call
from system import ACCOUNT, BIN, ROOT, System, eventually, run

NUMBER = "+15550100"


def token(system, org, role="admin", *more):
    return system.control("token", "add", "--org", org, "--role", role, *more).strip()


def ask(system, method, path, bearer, body=None, **headers):
    """Status, headers and JSON (or None) of one request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{system.listen}{path}", data=data, method=method)
    request.add_header("Authorization", f"Bearer {bearer}")
    if data is not None:
        request.add_header("Content-Type", "application/json")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read().decode()
            return answer.status, answer.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read().decode() or "null")


def write(system, text):
    """As the owner of everything."""
    done = subprocess.run(["psql", system.database_url, "-XqAt", "-v", "ON_ERROR_STOP=1"], input="SET row_security = off;"
                          + text, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("\n")


def furnish(system, org, tool="crm"):
    """One of everything that the organisation may have; ids by the path under which they are found."""
    names = ("calls", "orders", "recordings", "voicemails", "left-messages", "numbers", "routes", "tool-calls", "appointments",
             "opening-hours", "endpoints", "deliveries", "jobs", "reconciliations", "tokens", "audit", "number-orders", "accounts",
             "carrier-changes", "texts", "transfers", "outbound-calls",
             "batches", "do-not-call", "number-searches")
    ids = {name: str(uuid.uuid4()) for name in names} | {"configurations": "voice", "tools": tool}
    call, sid = ids["calls"], uuid.uuid4().hex
    rows = [
        ("phone_numbers (id, organization_id, phone_number)", f"'{ids['numbers']}', '{org}', '+1555{sid.translate(str.maketrans('abcdef', '123456'))[:7]}'"),
        ("call_routes (id, organization_id, step)", f"""'{ids['routes']}', '{org}', '{{"step":"agent"}}'"""),
        ("conversations (id, organization_id, session_id, channel, account_sid, call_sid, call_status, ended_reason)",
         f"'{call}', '{org}', 'twilio_CA{sid}', 'voice', '{ACCOUNT}', 'CA{sid}', 'completed', 'caller_hung_up'"),
        *[("conversation_messages (organization_id, conversation_id, seq, role, content, timestamp)",
           f"'{org}', '{call}', {n}, 'user', 'word {n}', '2026-11-21 08:00:0{n // 2}'") for n in range(5)],
        *[("call_events (organization_id, conversation_id, source, kind, seq, at)",
           f"'{org}', '{call}', 'edge', 'dtmf', {n}, '2026-11-21 08:00:0{n // 2}'") for n in range(5)],
        ("call_orders (id, organization_id, conversation_id, edge_run, body, ordered_by, expires_at)",
         f"""'{ids['orders']}', '{org}', '{call}', gen_random_uuid(), '{{"kind":"hangup"}}', 'somebody', now()"""),
        ("recordings (id, organization_id, conversation_id, source, source_name, path, media_type, started_at, duration_ms, bytes, "
         "sha256, peaks, peak_ms)", f"'{ids['recordings']}', '{org}', '{call}', 'edge', '{sid}', 'ab/cd.ogg', 'audio/ogg', now(), 1000, "
         "1000, sha256('x'), '', 50"),
        ("recording_accesses (organization_id, recording_id, what, by_whom)", f"'{org}', '{ids['recordings']}', 'read', 'somebody'"),
        ("voicemails (id, organization_id, conversation_id, account_sid, recording_sid)",
         f"'{ids['voicemails']}', '{org}', '{call}', '{ACCOUNT}', 'RE{sid}'"),
        ("tools (organization_id, name, description, parameters, action)",
         f"""'{org}', '{tool}', 'Looks up.', '{{"type":"object"}}', 'http'"""),
        ("tool_calls (id, organization_id, conversation_id, name, call_id, number, deadline_at, state, finished_at, output)",
         f"'{ids['tool-calls']}', '{org}', '{call}', 'crm', 'call_1', 1, now(), 'done', now(), '{{}}'"),
        ("appointments (id, organization_id, starts_at, ends_at)",
         f"'{ids['appointments']}', '{org}', '2031-01-06 10:00Z', '2031-01-06 10:30Z'"),
        ("availability (id, organization_id, opens, closes, time_zone)", f"'{ids['opening-hours']}', '{org}', '09:00', '17:00', 'UTC'"),
        ("left_messages (id, organization_id, conversation_id, body)", f"'{ids['left-messages']}', '{org}', '{call}', 'Call me.'"),
        ("transfers (id, organization_id, conversation_id, account_sid, place, step, from_number, to_number, state, reason, "
         "deadline_at, ended_at)", f"""'{ids['transfers']}', '{org}', '{call}', '{ACCOUNT}', 'next', '{{"step":"dial"}}', """
         "'+15550100', '+15550101', 'returned', 'busy', now(), now()"),
        ("endpoints (id, organization_id, kind, url, sealed)",
         f"'{ids['endpoints']}', '{org}', 'webhook', 'https://crm.example.com/calls', decode(repeat('00', 64), 'hex')"),
        ("deliveries (id, organization_id, conversation_id, endpoint_id, kind, event, idempotency_key, target, body, sent_at)",
         f"'{ids['deliveries']}', '{org}', '{call}', '{ids['endpoints']}', 'webhook', 'call.completed', 'k', 'crm', '{{}}', now()"),
        ("jobs (id, organization_id, kind, idempotency_key, state, due_at)", f"'{ids['jobs']}', '{org}', 'nobodys_kind', 'k', 'dead', NULL"),
        ("reconciliations (id, organization_id, account_sid, since, until, calls_seen, calls_opened, calls_ended, calls_priced, "
         "calls_differing, calls_unlisted, recordings_seen, recordings_found)",
         f"'{ids['reconciliations']}', '{org}', '{ACCOUNT}', now() - interval '1 hour', now(), 1, 0, 0, 0, '{{}}', '{{}}', 0, 0"),
        ("call_batches (id, organization_id, name, from_number, account_sid, plan, state, requested_by)",
         f"'{ids['batches']}', '{org}', 'spring', '{NUMBER}', '{ACCOUNT}', '{{}}', 'paused', 'somebody'"),
        *[("outbound_calls (id, organization_id, batch_id, to_number, from_number, account_sid, requested_by)",
           f"'{id}', '{org}', '{ids['batches']}', '+1555020{n}', '{NUMBER}', '{ACCOUNT}', 'somebody'")
          for n, id in enumerate((ids["outbound-calls"], uuid.uuid4(), uuid.uuid4()))],
        ("do_not_call (id, organization_id, phone_number, added_by)", f"'{ids['do-not-call']}', '{org}', '+15550199', 'somebody'"),
        ("api_tokens (id, organization_id, role, hash)", f"'{ids['tokens']}', '{org}', 'viewer', sha256('{sid}')"),
        ("api_audit (id, organization_id, token_id, token_label, operation, target, status, peer)",
         f"'{ids['audit']}', '{org}', gen_random_uuid(), '', 'add_number', '/api/numbers', 201, '127.0.0.1'"),
        ("number_limits (organization_id, spend_max, price_unit)", f"'{org}', 100, 'USD'"),
        ("number_orders (id, organization_id, idempotency_key, wish, country, kind, price, price_unit, ordered_by)",
         f"""'{ids['number-orders']}', '{org}', 'k', '{{"country":"US","kind":"local"}}', 'US', 'local', 1.15, 'USD', 'somebody'"""),
        ("number_searches (id, organization_id, country, kind, numbers_max, state, numbers, searched_by, finished_at)",
         f"""'{ids['number-searches']}', '{org}', 'US', 'local', 20, 'done', '[{{"number":"+15550111","locality":"Springfield","""
         """"region":"CA","address_requirements":"none","capabilities":["voice","sms"]}]', 'somebody', now()"""),
        ("number_checks (organization_id, phone_number_id, state)", f"'{org}', '{ids['numbers']}', 'as_wanted'"),
        ("carrier_changes (id, organization_id, what, by_whom)", f"'{ids['carrier-changes']}', '{org}', 'ordered', 'somebody'"),
        ("received_texts (id, organization_id, account_sid, message_sid, from_number, to_number, body)",
         f"'{ids['texts']}', '{org}', '{ACCOUNT}', 'SM{sid}', '72345', '{NUMBER}', 'Hello.'"),
        ("credentials (id, organization_id, kind, account, sealed)",
         f"'{ids['accounts']}', '{org}', 'twilio', 'AC{sid}', decode(repeat('00', 64), 'hex')"),
    ]
    write(system, "".join(f"INSERT INTO {table} VALUES ({values});\n" for table, values in rows))
    return ids | {"number-checks": ids["numbers"]}


BODIES = {
    "say_in_call": {"text": "One moment."}, "record_call": {"action": "start"}, "link_recording": {"minutes": 5},
    "move_voicemail": {"state": "listened"}, "move_left_message": {"state": "read"}, "add_number": {"number": "+15550177"},
    "change_number": {"is_active": False}, "add_opening_hours": {"hours": "sat 10:00-12:00", "time_zone": "Europe/Berlin"},
    "change_configuration": {"greeting": "Good day.", "record": True, "append_ms": 40, "settings": {"keep_days": 30}},
    "add_route": {"step": {"step": "agent"}, "hours": "mon-fri 09:00-17:00", "time_zone": "Europe/Berlin"},
    "put_tool": {"description": "Looks up a customer.", "settings": {"method": "POST", "url": "https://crm.example.com/find"},
                 "headers": {"Authorization": "Bearer secret"}},
    "book_appointment": {"start": "2031-01-06T11:00", "name": "Example"}, "add_endpoint": {"url": "https://crm.example.com/more"},
    "change_after_call": {"email_to": ["office@example.com", "boss@example.com"], "language": "de", "summary": False},
    "make_call": {"to": "+1 555 0177", "from": NUMBER, "variables": {"name": "Ada"}, "step": {"step": "hangup", "say": "{{name}}"}},
    "add_batch": {"name": "summer", "from": NUMBER, "numbers": "to,name\n+15550177,Ada\n+15550178,Bob\n", "paused": True},
    "add_not_called": {"number": "+15550176", "reason": "asked us"}, "change_outbound_limits": {"calls_per_minute": 120},
    "reconcile": {"hours": 5}, "add_token": {"role": "viewer", "label": "desk", "scopes": ["calls"]},
    "search_numbers": {"country": "US", "area_code": "555", "contains": "555*", "limit": 5},
    "order_number": {"country": "US", "area_code": "555"}, "release_number": {"number": NUMBER},
    "check_numbers": {"number": NUMBER, "mend": True}, "purchase_number": {"phoneNumber": "+15550179"},
}
# Nothing of the furniture is live.
REFUSED = {"hang_up_call": 409, "say_in_call": 409, "record_call": 409, "listen_to_call": 409}
# An account there is already.
REFUSED |= {"open_account": 409}


def every_path_of_the_document():
    with System() as system:
        ours, others = (system.organisation(name, number) for name, number in (("A", NUMBER), ("B", "+15550101")))
        ids = furnish(system, ours)
        config = {
            "base": f"http://127.0.0.1:{system.listen}", "ids": ids, "refused": REFUSED,
            "bodies": BODIES | {"configure_webhooks": {"phoneNumberId": ids["numbers"]}},
            "tokens": {"admin": token(system, ours, "admin", "--rate", "60000"),
                       "viewer": token(system, ours, "viewer", "--rate", "60000"),
                       "slow": token(system, ours, "admin", "--rate", "1"),
                       "narrow": token(system, ours, "admin", "--scopes", "nothing", "--rate", "60000"),
                       "other": token(system, others, "admin", "--rate", "60000")}}
        furnish(system, others, "crm_of_others")
        system.control("number", "price", "US", "local", "1.15", "USD")
        path = system.directory / "judge.json"
        path.write_text(json.dumps(config))
        done = subprocess.run(["node", ROOT / "tests/e2e/api_judge.mjs", path], text=True, capture_output=True)
        print(done.stdout[-12000:], done.stderr[-3000:])
        assert done.returncode == 0
        added = system.sql("SELECT operation, status FROM api_audit WHERE operation = 'add_number' AND status = 201 "
                           f"AND peer = '127.0.0.1' AND organization_id = '{ours}'")
        assert len(added) == 2, added  # the one there was, and the one of three requests with one key


def a_live_call_is_heard_and_hung_up():
    with System() as system:
        org = system.organisation("A", NUMBER)
        bearer = token(system, org, "operator", "--rate", "60000")
        caller, reports = live_call(system, "--hangup-after", "60000")
        status, _, page = ask(system, "GET", "/api/aloha/calls?status=in-progress", bearer)
        assert status == 200 and len(page["items"]) == 1, page
        call = page["items"][0]["id"]
        status, _, listen = ask(system, "POST", f"/api/calls/{call}/listen", bearer)
        assert status == 201 and "/listen/" in listen["url"], listen
        status, headers, order = ask(system, "POST", f"/api/calls/{call}/hangup", bearer)
        assert status == 202 and order["state"] == "waiting" and order["call"] == call, order
        eventually("the edge has done it",
                   lambda: ask(system, "GET", headers["Location"], bearer)[2]["state"] == "done")
        caller.join()
        eventually("and the record says so", lambda: ask(
            system, "GET", f"/api/calls/{call}", bearer)[2]["ended_reason"] == "hung_up_by_order")
        assert ask(system, "POST", f"/api/calls/{call}/hangup", bearer)[0] == 409
        done = system.sql("SELECT operation, status FROM api_audit ORDER BY at")
        assert [(row["operation"], row["status"]) for row in done] == [
            ("listen_to_call", 201), ("hang_up_call", 202), ("hang_up_call", 409)], done


def tokens_end():
    with System() as system:
        org = system.organisation("A", NUMBER)
        admin = token(system, org)
        status, _, made = ask(system, "POST", "/api/tokens", admin, {"role": "viewer"})
        assert status == 201 and ask(system, "GET", "/api/calls", made["token"])[0] == 200
        assert ask(system, "DELETE", f"/api/tokens/{made['id']}", admin)[0] == 204
        assert ask(system, "GET", "/api/calls", made["token"])[0] == 401
        over = token(system, org, "viewer", "--expires", "2020-01-01")
        assert ask(system, "GET", "/api/calls", over)[0] == 401
        kept = system.sql("SELECT count(*) AS n FROM api_answers WHERE answer LIKE '%rb_%'")
        assert kept[0]["n"] == 0, "a token's text is kept"
        assert {ask(system, "GET", "/api/calls", wrong)[0] for wrong in ("rb_x", "x" * 300, "a b", "")} == {401}


def one_key_under_many_hands():
    with System() as system:
        bearer = token(system, system.organisation("A", NUMBER), "admin", "--rate", "60000")
        with concurrent.futures.ThreadPoolExecutor(16) as hands:
            answers = list(hands.map(lambda n: ask(
                system, "POST", "/api/routes", bearer, {"step": {"step": "agent"}, "label": f"route {n % 8}"},
                Idempotency_Key=f"key-{n % 8}"), range(64)))
        assert {status for status, _, _ in answers} <= {201, 503}, [answer[0] for answer in answers]
        for n in range(8):  # what was refused for the crowd is asked again, alone
            answers.append(ask(system, "POST", "/api/routes", bearer, {"step": {"step": "agent"}, "label": f"route {n}"},
                               Idempotency_Key=f"key-{n}"))
        assert system.sql("SELECT count(*) AS n, count(DISTINCT label) AS labels FROM call_routes") == [{"n": 8, "labels": 8}]
        assert len({body["id"] for status, _, body in answers if status == 201}) == 8


# What a person types: the command of each group of the document, and of each operation that changes something.
GROUPS = {
    "calls": "calls", "transfers": "transfers", "recordings": "recordings", "voicemails": "voicemail", "left-messages": "message",
    "numbers": "number", "carrier": "number",
    "routes": "route", "configurations": "config", "tools": "tool", "appointments": "appointment", "after-call": "after",
    "endpoints": "endpoint", "deliveries": "deliveries", "jobs": "jobs", "reconciliations": "reconcile", "organization": "org",
    "tokens": "token", "audit": "audit", "outbound-calls": "call", "batches": "batch", "do-not-call": "dnc",
    "outbound-limits": "call",
}
COMMANDS = {
    "hang_up_call": "calls hangup", "say_in_call": "calls say", "record_call": "calls record", "listen_to_call": "calls listen",
    "link_recording": "recordings link", "delete_recording": "recordings delete", "move_voicemail": "voicemail listened",
    "move_left_message": "message read", "add_number": "number add", "change_number": "number on", "remove_number": "number remove",
    "add_route": "route add", "remove_route": "route remove", "change_configuration": "config set", "put_tool": "tool add",
    "remove_tool": "tool remove", "book_appointment": "appointment book", "cancel_appointment": "appointment cancel",
    "add_opening_hours": "appointment open", "remove_opening_hours": "appointment close", "change_after_call": "after set",
    "add_endpoint": "endpoint add", "remove_endpoint": "endpoint remove", "replay_endpoint": "endpoint replay",
    "replay_delivery": "deliveries replay", "retry_job": "jobs retry", "drop_job": "jobs drop", "search_numbers": "number search", "reconcile": "reconcile --org", "add_token": "token add",
    "revoke_token": "token revoke", "order_number": "number buy", "release_number": "number release",
    "check_numbers": "number verify", "purchase_number": "number buy", "configure_webhooks": "number verify | configure", "open_account": "account add",
    "make_call": "call make", "add_batch": "batch add", "pause_batch": "batch pause", "resume_batch": "batch pause|resume",
    "stop_batch": "batch pause|resume|stop", "add_not_called": "dnc add", "remove_not_called": "dnc remove",
    "change_outbound_limits": "call limits",
}

# Further words for the same; words that only look; and what is left to whoever runs the installation, or writes a function for it.
TWINS = {
    "number off": "change_number", "number configure": "configure_webhooks", "config unset": "change_configuration",
    "voicemail archive": "move_voicemail", "voicemail renew": "move_voicemail", "message archive": "move_left_message",
    "batch resume": "resume_batch", "batch stop": "stop_batch", "after unset": "change_after_call", "recordings export": "link_recording",
}
LOOKS = {"list", "show", "orders", "checks", "hours", "calls", "texts", "preview"}
OPERATORS = {"org add", "account rotate", "number limit", "number price", "credential add", "credential remove", "tool test"}


def check_twins(help_text, operations):
    """Each word of a command is an operation too, or it is said why not."""
    words = {f"{command} {part.split()[0]}" for command, usage in re.findall(r"^  ([a-z][a-z-]*) (.*)$", help_text, re.M)
             for part in usage.split(" | ") if part[:1].isalpha()}
    twins = TWINS | {" ".join(words.split()[:2]): name for name, words in COMMANDS.items()}
    assert len(words) > 60 and "jobs drop" in words, words
    alone = {word for word in words if word not in twins and word.split()[1] not in LOOKS}
    assert alone == OPERATORS, alone ^ OPERATORS
    assert set(twins.values()) <= operations, set(twins.values()) - operations


def the_command_line_covers_the_api():
    with System() as system:
        document = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{system.listen}/api/openapi.json", timeout=20).read())
        usages = {}

        def usage(command):
            if command not in usages:
                done = subprocess.run([BIN / "ringbridge-control", command, "nonsense"], text=True, capture_output=True,
                                      env=system.environment())
                assert done.returncode == 2, (command, done)  # it exists, and says what it takes
                usages[command] = done.stderr
            return usages[command]
        help_text = system.control("--help")
        commands = re.findall(r"^  ([a-z-]+) ", help_text, re.M)
        for path, method, operation in ((path, method, operation) for path, methods in document["paths"].items()
                                        for method, operation in methods.items()):
            name, (group,) = operation["operationId"].removesuffix("_alias"), operation["tags"]
            assert GROUPS.get(group) in commands, f"{path}: no command is for {group}"
            if method != "get":
                words = COMMANDS.get(name)
                assert words and words in usage(words.split()[0]), f"{name}: the command line has no \"{words}\""
        assert {tag["name"] for tag in document["tags"]} == set(GROUPS), document["tags"]
        check_twins(help_text, {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()})


if __name__ == "__main__":
    run(every_path_of_the_document, a_live_call_is_heard_and_hung_up, tokens_end,
        one_key_under_many_hands, the_command_line_covers_the_api)
