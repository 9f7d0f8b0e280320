/* signature: the vectors of Twilio's own helper libraries (V1 to V20), vectors of our own computed
 * with two independent HMACs (W1 to W9), and what must be refused. */
#include "control/carrier/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define P                                                                                          \
    "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&"             \
    "To=%2B18005551212"
#define U     "/myapp.php?foo=1&bar=2"
#define HTTPS "https://mycompany.com"
#define JSON  "{\"property\": \"value\", \"boolean\": true}"
#define HASH  "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
#define SMS                                                                                        \
    "Body=Caf%C3%A9+%26+%F0%9F%91%8D+1%2B1%3D2&From=%2B15550100002&"                               \
    "MessageSid=SM00000000000000000000000000000003&NumMedia=0&To=%2B15550100001"
#define VOICE                                                                                      \
    "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&"                         \
    "CallSid=CA00000000000000000000000000000002&CallStatus=ringing&Called=%2B15550100001&"         \
    "CalledCity=&Caller=%2B15550100002&CallerCity=SAN+FRANCISCO&Direction=inbound&"                \
    "From=%2B15550100002&FromCity=SAN+FRANCISCO&To=%2B15550100001&ToCity="

enum body_kind { NO_BODY, FORM, JSON_BODY };

struct vector {
    const char *id, *base, *target;
    enum body_kind kind;
    const char *body, *signature;
};

static const struct vector vectors[] = {
    {"V1", HTTPS, U, FORM, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    {"V2", HTTPS ":443", U, FORM, P, "kvajT1Ptam85bY51eRf/AJRuM3w="},
    {"V3", "http://mycompany.com:80", U, FORM, P, "0ZXoZLH/DfblKGATFgpif+LLRf4="},
    {"V4", "http://mycompany.com:1234", U, FORM, P, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="},
    {"V5", HTTPS, U, FORM, "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
     "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
    {"V6", HTTPS, U "&bodySHA256=" HASH, JSON_BODY, JSON, "a9nBmqA0ju/hNViExpshrM61xv4="},
    {"V7", HTTPS, "/myapp.php?bodySHA256=" HASH, JSON_BODY, JSON, "y77kIzt2vzLz71DgmJGsen2scGs="},
    {"V8", HTTPS, U, FORM, P "&Reason=Participant&ReasonConferenceEnded=test",
     "vOEb5UThFn24KEfnOFLQY2AE5FY="},
    {"V9", "http://mycompany.com", U, FORM, P "&ReasonConferenceEnded=test&Reason=Participant",
     "n2xBNyzSW7rfYStDtOFiFMv7qNo="},
    {"V10", HTTPS, U, FORM, "property=value&boolean=true", "NBdBDr/T/lgjI+tlgpXjKZQZs/k="},
    {"V11", HTTPS, U, NO_BODY, "", "zYQTYrRWXE7LtzbG4PfP7/bkkGo="},
    {"V12", HTTPS, "/myapp.php", FORM, P, "1xaxFBvyzXYvWplzNOSs28HWO94="},
    {"V13", "https://example.com", U, FORM,
     "CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&"
     "To=%2B18005551212",
     "L/OH5YylLD5NRKLltdqwSvS0BnU="},
    {"V14", HTTPS, "/myapp.php?foo=hello%20world&bar=test%2Bvalue", FORM, P,
     "er2tvAP1Wx+iuTTE2BPgvEaN1cs="},
    {"V15", HTTPS, U, FORM,
     "Message=Hello+%26+goodbye!+@%23$%25^*()&From=%2B1+(415)+867-5309&"
     "Special=unicode:+\xc3\xb1\xc3\xa1\xc3\xa9\xc3\xad\xc3\xb3\xc3\xba",
     "dCPiR4WtQ6QFN6pJh81CtlCcWLQ="},
    {"V16", HTTPS, U, FORM,
     "Digits=&CallSid=CA1234567890ABCDE&EmptyParam=", "9HHp/OqQMEwdrVebHDdA/+tqjX8="},
    {"V17", HTTPS, U, FORM, "callSid=lowercase&CallSid=uppercase&CALLSID=allcaps",
     "jDK7WKT8wiNrwggd4ceTv4e1MJ4="},
    {"V18", HTTPS, U, FORM, "Zebra=last&Alpha=first&Beta=second&Gamma=third",
     "enveUe73ZTVLAekHxez3Qx6JuuQ="},
    {"V19", HTTPS ":443", "//myapp.php?foo=1&bar=2", FORM, P, "A9lH3u16NjyiiM/+wylw5rirFUs="},
    {"V20", HTTPS,
     "/webhook/Espa\xc3\xb1"
     "a?a\xc3\xb1"
     "o=2023",
     FORM, P, "G/Hx6mqqnjUNlPAoi2Sp9bGst0g="},
    {"V1 port", HTTPS ":1234", U, FORM, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    {"V2 bare", HTTPS, U, FORM, P, "kvajT1Ptam85bY51eRf/AJRuM3w="},
    {"V1 user", "https://user:pass@mycompany.com", U, FORM, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    {"V1 slash", HTTPS "/", U, FORM, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    {"W1", "https://ctl.example.com", "/twilio/voice?org=7", FORM, VOICE,
     "YB3lz6IICB3xN/4mN9RgKgpxIrg="},
    {"W1 prefix", "https://ctl.example.com/twilio", "/voice?org=7", FORM, VOICE,
     "YB3lz6IICB3xN/4mN9RgKgpxIrg="},
    {"W2", "https://ctl.example.com", "/twilio/sms", FORM, SMS, "8Yvu5ko1hYn84FMyoGCoTngymis="},
    {"W3", "https://ctl.example.com:8443", "/twilio/sms", FORM, SMS,
     "2oDQ1Si1rC/lC8pPUUiIZVpsS2U="},
    {"W4", "https://ctl.example.com",
     "/hook?bodySHA256=f07f82a30fec2af1a97fc1cdd73110a489a9c94694cd40c3a36a1141789e449d", JSON_BODY,
     "{\"CallSid\":\"CA1\",\"Event\":\"x\"}", "/bzweNsWpmks5GyZ1IRxrDq1kb8="},
    {"W5", "https://ctl.example.com", "/twilio/voice?org=7&CallSid=CA1&From=%2B15550100002",
     NO_BODY, "", "O06XdaRvwNBugVkhCGZWe62yo2I="},
};

static bool check_with(const struct vector *vector, const struct signature_tokens *tokens,
                       struct span presented)
{
    struct form form = {.count = 0};
    struct signature_request request = {.base = vector->base,
                                        .target = span_of(vector->target),
                                        .body = span_of(vector->body),
                                        .presented = presented};
    if (vector->kind == FORM) {
        assert_int_equal(form_read(request.body, &form), FAULT_NONE);
        request.form = &form;
    }
    bool accepted = signature_check(&request, tokens);
    form_free(&form);
    return accepted;
}

static bool check(const struct vector *vector)
{
    const struct signature_tokens tokens = {.tokens = {"12345"}};
    return check_with(vector, &tokens, span_of(vector->signature));
}

static void every_vector_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        if (!check(&vectors[i]))
            fail_msg("%s was refused", vectors[i].id);
}

/* V15's signed field values prove the decoder; here the whole signed strings are compared. */
static void the_signed_strings(void **state)
{
    (void)state;
    static const struct {
        const char *body, *expected;
    } rows[] = {
        {P, "CallSidCA1234567890ABCDECaller+14158675309Digits1234From+14158675309To+18005551212"},
        {vectors[4].body, "Digits1234Digits5678SidCA123SidAccountAC123"},
        {SMS, "BodyCaf\xc3\xa9 & \xf0\x9f\x91\x8d 1+1=2From+15550100002"
              "MessageSidSM00000000000000000000000000000003NumMedia0To+15550100001"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct form form;
        size_t bytes;
        assert_int_equal(form_read(span_of(rows[i].body), &form), FAULT_NONE);
        char *fields = signature_fields(&form, &bytes);
        assert_non_null(fields);
        assert_true(span_is(span_from(fields, bytes), rows[i].expected));
        free(fields);
        form_free(&form);
    }
}

static void what_differs_is_refused(void **state)
{
    (void)state;
    struct vector changed = vectors[0];
    changed.body = P "&New=1";
    assert_false(check(&changed));
    changed = vectors[0];
    changed.target = "/myapp.php?foo=1&bar=3";
    assert_false(check(&changed));
    changed = vectors[0];
    changed.target = "/myapp.php?foo=1&bar=2#x";
    assert_false(check(&changed));
    changed = vectors[0];
    changed.target = "https://mycompany.com/myapp.php?foo=1&bar=2";
    assert_false(check(&changed));
    changed = vectors[0];
    changed.base = "https://mycompany.org";
    assert_false(check(&changed));
    changed = vectors[0];
    changed.base = "http://mycompany.com";
    assert_false(check(&changed));
    changed = vectors[7]; /* sorted by name and value joined */
    changed.signature = "95+Bu0JVPi0r/SsESZCVf0dWAjw=";
    assert_false(check(&changed));
}

static void blank_values_are_signed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct vector dropped = vectors[i];
        dropped.signature = "/YdHrAig3XGu64AMAiDC9qOo6mg="; /* W1 without its blank values */
        assert_false(check(&dropped));
    }
}

static void a_body_that_is_no_form_must_be_announced(void **state)
{
    (void)state;
    struct vector changed = vectors[5];
    changed.body = "{\"property\": \"value\", \"boolean\": false}";
    assert_false(check(&changed));
    changed = vectors[10]; /* signed as a GET without a body */
    changed.body = "{}";
    changed.kind = JSON_BODY;
    assert_false(check(&changed));
    changed = vectors[5];
    changed.target = U "&bodySHA256=" HASH "0";
    assert_false(check(&changed));
}

static void the_presented_value_must_be_whole(void **state)
{
    (void)state;
    const struct signature_tokens tokens = {.tokens = {"12345"}};
    const char *right = vectors[0].signature;
    assert_false(check_with(&vectors[0], &tokens, (struct span){NULL, 0}));
    assert_false(check_with(&vectors[0], &tokens, span_of("")));
    assert_false(check_with(&vectors[0], &tokens, span_from(right, 27)));
    assert_false(check_with(&vectors[0], &tokens, span_of("RSOYDt4T1cUTdK1PDd93/VVr8B8= ")));
    for (size_t i = 0; i < SIGNATURE_TEXT_BYTES; i++) {
        char wrong[SIGNATURE_TEXT_BYTES + 1];
        memcpy(wrong, right, sizeof wrong);
        wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
        assert_false(check_with(&vectors[0], &tokens, span_of(wrong)));
    }
}

static void tokens_rotate(void **state)
{
    (void)state;
    struct span right = span_of(vectors[0].signature);
    const struct signature_tokens first = {.tokens = {"12345", "other"}};
    const struct signature_tokens second = {.tokens = {"other", "12345"}};
    const struct signature_tokens neither = {.tokens = {"other", NULL}};
    const struct signature_tokens none = {.tokens = {NULL, ""}};
    assert_true(check_with(&vectors[0], &first, right));
    assert_true(check_with(&vectors[0], &second, right));
    assert_false(check_with(&vectors[0], &neither, right));
    assert_false(check_with(&vectors[0], &none, right));
    char empty_key[SIGNATURE_TEXT_BYTES + 1]; /* what an empty token would compute */
    signature_compute("", span_of(HTTPS U), span_of(""), empty_key);
    assert_false(check_with(&vectors[10], &none, span_of(empty_key)));
}

static void an_apostrophe_is_signed_in_two_ways(void **state)
{
    (void)state;
    const struct signature_tokens tokens = {.tokens = {"12345"}};
    static const char *const queries[] = {"/a?n=O'Hara&m=it%27s", "/a?n=O'Hara&m=it's",
                                          "/a?n=O%27Hara&m=it%27s"};
    for (size_t i = 0; i < 3; i++) {
        char url[256], text[SIGNATURE_TEXT_BYTES + 1];
        snprintf(url, sizeof url, "https://h.example%s", queries[i]);
        signature_compute("12345", span_of(url), span_of(""), text);
        struct vector mixed = {"", "https://h.example", queries[0], NO_BODY, "", text};
        assert_true(check_with(&mixed, &tokens, span_of(text)));
    }
    char text[SIGNATURE_TEXT_BYTES + 1]; /* never in the path */
    signature_compute("12345", span_of("https://h.example/O%27Hara"), span_of(""), text);
    struct vector path = {"", "https://h.example", "/O'Hara", NO_BODY, "", text};
    assert_false(check(&path));
}

static bool stream_has(const char *base, const char *path, const char *signature)
{
    const struct signature_tokens tokens = {.tokens = {"12345"}};
    char values[SIGNATURE_STREAM_MAX][SIGNATURE_TEXT_BYTES + 1];
    size_t count = signature_stream_values(base, path, &tokens, values);
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i], signature) == 0)
            return true;
    return false;
}

static void stream_urls(void **state)
{
    (void)state;
    static const char *const wss = "wss://edge.example.com";
    assert_true(stream_has(wss, "/media", "jH+pe0QpIIr25OLTDThbO9NoD+c="));  /* W6 */
    assert_true(stream_has(wss, "/media", "vrjDK3hQPeUxGDwPiqb7n9fz0pw="));  /* W7 */
    assert_true(stream_has(wss, "/", "+00veRWPgnL/0Wf7y1RQKQPuM7I="));       /* W8 */
    assert_true(stream_has(wss, "", "+00veRWPgnL/0Wf7y1RQKQPuM7I="));        /* W8 */
    assert_false(stream_has(wss, "/media", "3hFUqRQ7eCbz/9FGMB4bjnhfw2s=")); /* W9 */
    assert_false(stream_has("https://edge.example.com", "/media", "3hFUqRQ7eCbz/9FGMB4bjnhfw2s="));
    char with_port[SIGNATURE_TEXT_BYTES + 1];
    signature_compute("12345", span_of("wss://edge.example.com:443/media/"), span_of(""),
                      with_port);
    assert_true(stream_has(wss, "/media", with_port));
    signature_compute("12345", span_of("wss://edge.example.com:8443/media"), span_of(""),
                      with_port);
    assert_true(stream_has("wss://edge.example.com:8443", "/media", with_port));
}

static void base_urls(void **state)
{
    (void)state;
    static const char *const good[] = {"https://h",
                                       "https://h/",
                                       "http://h:1",
                                       "wss://h:65535/p/q",
                                       "ws://[::1]:80",
                                       "https://u:p@h:8/x",
                                       "https://127.0.0.1:8080"};
    static const char *const bad[] = {"",
                                      "h",
                                      "ftp://h",
                                      "https://",
                                      "https:///p",
                                      "https://h:",
                                      "https://h:0",
                                      "https://h:65536",
                                      "https://h:1x",
                                      "https://h?a",
                                      "https://h#a",
                                      "https://h /",
                                      "https://:80",
                                      "HTTPS://h",
                                      "https://u@",
                                      NULL};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!signature_base_valid(good[i]))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (signature_base_valid(bad[i]))
            fail_msg("%s was accepted", bad[i]);
}

static void candidates_fit_or_are_not(void **state)
{
    (void)state;
    char whole[64];
    size_t bytes = signature_url("https://h", span_of("/a?b='"), 2, whole, sizeof whole);
    assert_string_equal(whole, "https://h/a?b=%27");
    assert_int_equal(bytes, strlen(whole));
    for (size_t room = 0; room <= bytes + 1; room++) {
        char *url = malloc(room + 1);
        assert_non_null(url);
        assert_int_equal(signature_url("https://h", span_of("/a?b='"), 2, url, room),
                         room > bytes ? bytes : 0);
        free(url);
    }
    assert_int_equal(signature_url("https://h", span_of("/a?b='"), 4, whole, sizeof whole), 0);
    assert_int_equal(signature_url("https://h", span_of("/a"), 2, whole, sizeof whole), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_is_accepted),
        cmocka_unit_test(the_signed_strings),
        cmocka_unit_test(what_differs_is_refused),
        cmocka_unit_test(blank_values_are_signed),
        cmocka_unit_test(a_body_that_is_no_form_must_be_announced),
        cmocka_unit_test(the_presented_value_must_be_whole),
        cmocka_unit_test(tokens_rotate),
        cmocka_unit_test(an_apostrophe_is_signed_in_two_ways),
        cmocka_unit_test(stream_urls),
        cmocka_unit_test(base_urls),
        cmocka_unit_test(candidates_fit_or_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
