#!/usr/bin/env python3
"""Traps into which other deployments have walked, and which test keeps us out of each: a table, and the check that every test
it names is there. What is not about voice is left out. Number 40 is "production ready" with the tests unticked: its answer is this table.

Usage: mistakes.py ROOT"""
import sys
from pathlib import Path

# number: (the trap, [(file, test)...])
TRAPS = {
    1: ("a query string on the Stream URL, which Twilio drops",
        [("tests/control/webhook_test.c", "a_call_gets_its_stream_and_the_edge_its_plan")]),
    2: ("unescaped & in TwiML, + that becomes a blank",
        [("tests/control/twiml_test.c", "text_comes_back_as_it_was"), ("tests/control/steps_test.c", "keys_are_escaped_in_places")]),
    3: ("the organisation believed from the URL", [("tests/control/link_serve_test.c", "forged_and_outlived_tickets_are_refused"),
                                                   ("tests/control/ticket_mint_test.c", "no_changed_bit_is_believed")]),
    4: ("no signature checked on the WebSocket handshake", [("tests/e2e/hostile.py", "tickets_hold"),
                                                            ("tests/control/signature_test.c", "stream_urls")]),
    5: ("an unknown number falls to a default organisation",
        [("tests/control/webhook_test.c", "an_unknown_number_is_refused_in_words"),
         ("tests/e2e/database_away.py", "nothing_is_answered_that_was_not_known_and_nothing_unsigned_is_believed")]),
    6: ("a service role that bypasses row security", [("tests/control/rls_test.sql", "policy"),
                                                      ("tests/control/db_test.c", "the_organization_is_named_for_one_transaction")]),
    7: ("status events chosen on a number, which has none to choose",
        [("tests/control/carrier_number_test.c", "nothing_is_asked_that_a_number_does_not_have"),
         ("tests/control/twilio_rest_test.c", "numbers_are_searched_bought_set_up_and_released_as_described")]),
    8: ("several events in one value of StatusCallbackEvent",
        [("tests/control/transfer_test.c", "the_person_is_called_as_twilio_describes_it"),
         ("tests/e2e/transfer.py", "accepted"),
         ("tests/control/twilio_rest_test.c", "a_call_is_created_as_described"),
         ("tests/e2e/outbound.py", "a_call_made_through_the_api_is_answered_by_the_agent_and_on_record")]),
    9: ("recording callbacks that do not come from the number's page",
        [("tests/control/routes_test.c", "nobody_there_then_a_message_is_left")]),
    10: ("a number's status callback awaited for messages, when it tells of calls only",
         [("tests/e2e/numbers.py", "a_number_is_bought_set_up_verified_routed_and_given_back"),
          ("tests/control/webhook_test.c", "a_messages_callback_is_told_apart")]),
    11: ("one path means calls here and messages there", [("tests/control/webhook_test.c", "a_messages_callback_is_told_apart")]),
    12: ("the event answered taken for a status; queued and canceled missing",
         [("tests/control/status_test.c", "a call that never streamed, with the event name for a status")]),
    13: ("callbacks believed to come in order and once",
         [("tests/control/webhook_test.c", "every_order_gives_one_record"), ("tests/e2e/whole_call.py", "callbacks_in_any_order_and_twice"),
          ("tests/e2e/database_away.py", "repeat_callbacks"), ("tests/e2e/reconcile.py", "what_no_webhook_told_is_on_record_afterwards_once")]),
    14: ("the row is made by the WebSocket, so a call that never streams has none",
         [("tests/control/status_test.c", "a call that never streamed, with the event name for a status"),
          ("tests/e2e/routes.py", "nobody_answers_and_a_message_is_left")]),
    15: ("the e-mail races the transcript and repeats", [("tests/e2e/after_call.py", "a_call_is_told_once")]),
    16: ("only an API key: signatures cannot be checked", [("tests/control/cli_test.sh", "set TWILIO_AUTH_TOKEN")]),
    17: ("one global token for calls of sub-accounts", [("tests/control/link_life_test.c", "an_organisations_own_account_speaks_for_it_alone"),
                                                        ("tests/control/accounts_test.c", "an_account_speaks_for_its_own_organization_only")]),
    18: ("a TwiML path left unsigned as internal", [("tests/e2e/hostile.py", "webhooks_need_their_signature"),
                                                    ("tests/control/webhook_test.c", "strangers_are_refused")]),
    19: ("the signature checked over the URL that a proxy changed",
         [("tests/control/signature_test.c", "candidates_fit_or_are_not"), ("tests/control/signature_test.c", "every_vector_is_accepted")]),
    20: ("public buckets with names that can be guessed", [("tests/e2e/media.py", "a_link_is_heard_in_pieces_and_for_a_while")]),
    21: ("believing addresses instead of signatures", [("tests/control/webhook_test.c", "strangers_are_refused"),
                                                       ("tests/e2e/hostile.py", "webhooks_need_their_signature")]),
    22: ("mono and trimmed recordings", [("tests/e2e/media.py", "a_call_in_two_channels_keeps_both")]),
    23: ("a recording that is not ready yet; copies that stay", [("tests/e2e/media.py", "a_message_is_fetched_and_linked_whatever_comes_first")]),
    31: ("numbers compared as they were typed; callers without one",
         [("tests/control/store_test.c", "numbers_that_nobody_has_are_not_found_and_never_an_error"),
          ("tests/control/steps_test.c", "callers_without_a_number_are_shown_as_the_called_one")]),
    32: ("seconds and milliseconds, times without a zone", [("tests/control/status_test.c", "a call that was answered, streamed and hung up"),
                                                            ("tests/control/store_test.c", "stream_reports_are_noted")]),
    33: ("the voicemail's callback wins the race against its call",
         [("tests/e2e/media.py", "a_message_is_fetched_and_linked_whatever_comes_first")]),
    34: ("a status that is any text", [("tests/control/store_test.c", "strange_fields_are_stored_or_refused_but_never_an_error"),
                                       ("tests/control/store_test.c", "an_outbound_call_belongs_to_the_number_it_came_from")]),
    35: ("forwarding without caller-ID rule, loop guard, ring time",
         [("tests/control/steps_test.c", "a_dial_to_the_called_number_is_passed_over"), ("tests/control/steps_test.c", "a_dial_says_all_it_means")]),
    36: ("numbers bought without limit, role, key, address or way back",
         [("tests/e2e/numbers.py", "nobody_spends_more_than_is_allowed"),
          ("tests/e2e/numbers.py", "killed_at_any_moment_it_buys_exactly_one"),
          ("tests/control/carrier_numbers_test.c", "only_an_administrator_buys_and_only_within_the_limit"),
          ("tests/control/carrier_numbers_test.c", "the_same_order_again_is_the_same_order"),
          ("tests/control/carrier_numbers_test.c", "a_number_is_given_back_by_its_owner_once"),
          ("tests/control/twilio_rest_test.c", "numbers_are_searched_bought_set_up_and_released_as_described")]),
    37: ("nothing after the stream", [("tests/control/routes_test.c", "a_call_whose_edge_died_comes_back_to_the_agent"),
                                      ("tests/control/link_serve_test.c", "after_the_stream_the_ending_decides")]),
    38: ("secrets that cannot be rotated", [("tests/control/signature_test.c", "tokens_rotate"),
                                            ("tests/control/accounts_test.c", "tokens_are_sealed_rotated_and_open_only_with_the_key")]),
    39: ("three names for one path", [("tests/control/webhook_test.c", "every_alias_is_the_same_webhook")]),
}


def main():
    root, failed = Path(sys.argv[1]).resolve(), []
    for number, (trap, tests) in TRAPS.items():
        for file, test in tests:
            path = root / file
            if not path.exists() or test not in path.read_text(errors="replace"):
                failed.append(f"M{number} ({trap}): {file} has no {test}")
    print("\n".join(failed + [f"{len(TRAPS)} traps, {len(failed)} tests missing"]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
