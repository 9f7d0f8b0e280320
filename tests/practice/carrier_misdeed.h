/* carrier_misdeed: what a carrier should never do, and tests need.
 *
 * What it is: the table of misbehaviours, and those of them that are messages on a stream. What it
 * is not: misbehaviour by leaving things out, which stands where the thing is left out. Thread: the
 * loop's. Bound: each message is sent once. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_MISDEED_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_MISDEED_H

/* X(NAME, word on the command line, what happens) */
#define CARRIER_MISDEEDS(X)                                                                        \
    X(WRONG_SIGNATURE, "wrong-signature", "webhooks carry a wrong signature")                      \
    X(NO_SIGNATURE, "no-signature", "webhooks carry none")                                         \
    X(WRONG_STREAM_SIGNATURE, "wrong-stream-signature", "the handshake's signature is wrong")      \
    X(NO_STREAM_SIGNATURE, "no-stream-signature", "the handshake has no signature")                \
    X(FORGED_TICKET, "forged-ticket", "one character of the stream's path is changed")             \
    X(REUSED_TICKET, "reused-ticket", "a second stream comes with the same URL")                   \
    X(NO_STREAM, "no-stream", "the stream never comes; the next verb follows after 2 s")           \
    X(NO_START, "no-start", "connected, then nothing")                                             \
    X(SECOND_START, "second-start", "start comes twice")                                           \
    X(MEDIA_BEFORE_START, "media-before-start", "media comes before start")                        \
    X(WRONG_CALL_SID, "wrong-call-sid", "start names another call")                                \
    X(WRONG_STREAM_SID, "wrong-stream-sid", "media names another stream than start")               \
    X(BINARY_FRAME, "binary-frame", "a binary message after a second")                             \
    X(BAD_BASE64, "bad-base64", "a payload that is not base64 after a second")                     \
    X(BAD_JSON, "bad-json", "a message that is not JSON after a second")                           \
    X(DEEP_JSON, "deep-json", "a message of 20,000 brackets after a second")                       \
    X(BAD_UTF8, "bad-utf8", "a text message that is not UTF-8 after a second")                     \
    X(UNMASKED, "unmasked", "an unmasked frame after a second")                                    \
    X(HUGE_FRAME, "huge-frame", "a frame that announces 2^62 bytes after a second")                \
    X(NUMBERS, "number-sequence", "numbers where Twilio has strings after a second")               \
    X(TIMESTAMP_GAP, "timestamp-gap", "100 ms of frames left out each second, timestamps go on")   \
    X(SILENCE, "silence", "no media at all")                                                       \
    X(NO_STOP, "no-stop", "the connection is reset instead of stop")                               \
    X(SLOW_READER, "slow-reader", "nothing is read after start")                                   \
    X(STATUS_SHUFFLED, "status-shuffled", "status callbacks at the end, in any order")             \
    X(STATUS_DOUBLED, "status-doubled", "each status callback comes twice")                        \
    X(STATUS_LATE, "status-late", "status callbacks come 3 s after the call's end")                \
    X(STATUS_LOST, "status-lost", "completed never comes")

enum carrier_misdeed {
#define X(name, word, sentence) MISDEED_##name,
    CARRIER_MISDEEDS(X)
#undef X
        MISDEED_COUNT
};

struct carrier_leg;

/* Once, after the first second of media: the wrong message that the options ask for, if any. */
void carrier_misdeed_send(struct carrier_leg *leg);

/* The ticket, the last segment of the path, with its last but one character changed. */
void carrier_misdeed_forge(char *target);

#endif
