/* Signatures against the vectors of Twilio's own helper libraries (Python, Ruby, Java and Go suites
 * and the security page), plus our own, computed with two other HMAC implementations. */
#include "tests/practice/carrier_sign.h"

#include "common/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define U      "https://mycompany.com/myapp.php?foo=1&bar=2"
#define U_HTTP "http://mycompany.com/myapp.php?foo=1&bar=2"
#define P                                                                                          \
    "CallSid", "CA1234567890ABCDE", "Caller", "+14158675309", "Digits", "1234", "From",            \
        "+14158675309", "To", "+18005551212"
#define P_DOC                                                                                      \
    "CallSid", "CA1234567890ABCDE", "Caller", "+14158675310", "Digits", "1234", "From",            \
        "+14158675310", "To", "+18005551212"
#define HASH "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"

struct vector {
    const char *id, *url, *signature;
    const char *pairs[24];
};

static const struct vector vectors[] = {
    {"V1", U, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", {P}},
    {"V2", "https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w=", {P}},
    {"V3", "http://mycompany.com:80/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4=", {P}},
    {"V4", "http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", {P}},
    {"V5",
     U,
     "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
     {"Sid", "CA123", "SidAccount", "AC123", "Digits", "5678", "Digits", "1234", "Digits", "1234"}},
    {"V6", U "&bodySHA256=" HASH, "a9nBmqA0ju/hNViExpshrM61xv4=", {0}},
    {"V7", "https://mycompany.com/myapp.php?bodySHA256=" HASH, "y77kIzt2vzLz71DgmJGsen2scGs=", {0}},
    {"V8",
     U,
     "vOEb5UThFn24KEfnOFLQY2AE5FY=",
     {P, "Reason", "Participant", "ReasonConferenceEnded", "test"}},
    {"V9",
     U_HTTP,
     "n2xBNyzSW7rfYStDtOFiFMv7qNo=",
     {P, "Reason", "Participant", "ReasonConferenceEnded", "test"}},
    {"V10", U, "NBdBDr/T/lgjI+tlgpXjKZQZs/k=", {"property", "value", "boolean", "true"}},
    {"V11", U, "zYQTYrRWXE7LtzbG4PfP7/bkkGo=", {0}},
    {"V12", "https://mycompany.com/myapp.php", "1xaxFBvyzXYvWplzNOSs28HWO94=", {P}},
    {"V13", "https://example.com/myapp.php?foo=1&bar=2", "L/OH5YylLD5NRKLltdqwSvS0BnU=", {P_DOC}},
    {"V14",
     "https://mycompany.com/myapp.php?foo=hello%20world&bar=test%2Bvalue",
     "er2tvAP1Wx+iuTTE2BPgvEaN1cs=",
     {P}},
    {"V15",
     U,
     "dCPiR4WtQ6QFN6pJh81CtlCcWLQ=",
     {"Message", "Hello & goodbye! @#$%^*()", "From", "+1 (415) 867-5309", "Special",
      "unicode: \u00f1\u00e1\u00e9\u00ed\u00f3\u00fa"}},
    {"V16",
     U,
     "9HHp/OqQMEwdrVebHDdA/+tqjX8=",
     {"Digits", "", "CallSid", "CA1234567890ABCDE", "EmptyParam", ""}},
    {"V17",
     U,
     "jDK7WKT8wiNrwggd4ceTv4e1MJ4=",
     {"callSid", "lowercase", "CallSid", "uppercase", "CALLSID", "allcaps"}},
    {"V18",
     U,
     "enveUe73ZTVLAekHxez3Qx6JuuQ=",
     {"Zebra", "last", "Alpha", "first", "Beta", "second", "Gamma", "third"}},
    {"V19",
     "https://mycompany.com:443//myapp.php?foo=1&bar=2",
     "A9lH3u16NjyiiM/+wylw5rirFUs=",
     {P}},
    {"V20",
     "https://mycompany.com/webhook/Espa\u00f1a?a\u00f1o=2023",
     "G/Hx6mqqnjUNlPAoi2Sp9bGst0g=",
     {P}},
    {"W2",
     "https://ctl.example.com/twilio/sms",
     "8Yvu5ko1hYn84FMyoGCoTngymis=",
     {"Body", "Caf\u00e9 & \U0001F44D 1+1=2", "From", "+15550100002", "MessageSid",
      "SM00000000000000000000000000000003", "NumMedia", "0", "To", "+15550100001"}},
    {"W6", "wss://edge.example.com/media", "jH+pe0QpIIr25OLTDThbO9NoD+c=", {0}},
    {"W7", "wss://edge.example.com/media/", "vrjDK3hQPeUxGDwPiqb7n9fz0pw=", {0}},
    {"W8", "wss://edge.example.com/", "+00veRWPgnL/0Wf7y1RQKQPuM7I=", {0}},
};

static void fill(struct carrier_form *form, const char *const *pairs)
{
    carrier_form_begin(form);
    for (size_t i = 0; pairs[i]; i += 2)
        carrier_form_add(form, pairs[i], pairs[i + 1]);
}

static void signatures_are_twilios(void **state)
{
    (void)state;
    static struct carrier_form form;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char signature[CARRIER_SIGNATURE_ROOM];
        fill(&form, vectors[i].pairs);
        carrier_sign("12345", vectors[i].url, &form, signature);
        if (strcmp(signature, vectors[i].signature) != 0)
            fail_msg("%s: %s, not %s", vectors[i].id, signature, vectors[i].signature);
    }
}

/* W1: the body as it goes over the wire, blank values and all, and its signature. */
static void a_body_is_written_as_twilio_writes_it(void **state)
{
    (void)state;
    static struct carrier_form form;
    static char body[3 * CARRIER_FORM_BYTES_MAX];
    const char *pairs[] = {"AccountSid", "AC00000000000000000000000000000001",
                           "ApiVersion", "2010-04-01",
                           "CallSid",    "CA00000000000000000000000000000002",
                           "CallStatus", "ringing",
                           "Called",     "+15550100001",
                           "CalledCity", "",
                           "Caller",     "+15550100002",
                           "CallerCity", "SAN FRANCISCO",
                           "Direction",  "inbound",
                           "From",       "+15550100002",
                           "FromCity",   "SAN FRANCISCO",
                           "To",         "+15550100001",
                           "ToCity",     "",
                           NULL};
    fill(&form, pairs);
    size_t bytes = carrier_form_write(&form, body, sizeof body);
    assert_string_equal(
        body, "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&"
              "CallSid=CA00000000000000000000000000000002&CallStatus=ringing&Called=%2B15550100001"
              "&CalledCity=&Caller=%2B15550100002&CallerCity=SAN+FRANCISCO&Direction=inbound&"
              "From=%2B15550100002&FromCity=SAN+FRANCISCO&To=%2B15550100001&ToCity=");
    assert_int_equal(bytes, strlen(body));
    char signature[CARRIER_SIGNATURE_ROOM];
    carrier_sign("12345", "https://ctl.example.com/twilio/voice?org=7", &form, signature);
    assert_string_equal(signature, "YB3lz6IICB3xN/4mN9RgKgpxIrg=");
}

static void utf8_and_marks_are_escaped(void **state)
{
    (void)state;
    static struct carrier_form form;
    static char body[3 * CARRIER_FORM_BYTES_MAX];
    const char *pairs[] = {"Body", "Caf\u00e9 & \U0001F44D 1+1=2", "A", "-._*~'", NULL};
    fill(&form, pairs);
    carrier_form_write(&form, body, sizeof body);
    assert_string_equal(body, "Body=Caf%C3%A9+%26+%F0%9F%91%8D+1%2B1%3D2&A=-._*%7E%27");
}

static void what_is_signed_follows_the_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *url, *text;
    } rows[] = {
        {"https://u:p@mycompany.com:1234/a?b=c#rc=3&rp=5xx", "https://mycompany.com/a?b=c"},
        {"http://u@mycompany.com:1234/a", "http://mycompany.com:1234/a"},
        {"https://mycompany.com", "https://mycompany.com/"},
        {"wss://edge.example.com", "wss://edge.example.com/"},
        {"wss://edge.example.com:8443/t", "wss://edge.example.com:8443/t"},
        {"https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct carrier_url url;
        char text[CARRIER_URL_BYTES_MAX];
        assert_true(carrier_url_read(rows[i].url, &url));
        assert_true(carrier_sign_address(&url, text, sizeof text));
        assert_string_equal(text, rows[i].text);
    }
}

static void urls_resolve_against_the_document(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *text;
    } rows[] = {
        {"/b?c=d#f", "https://h.example/b?c=d"}, {"d", "https://h.example/x/d"},
        {"?q=1", "https://h.example/x/y?q=1"},   {"http://o.example:81/z", "http://o.example:81/z"},
        {"", "https://h.example/x/y?old=1"},
    };
    struct carrier_url base, url;
    char text[CARRIER_URL_BYTES_MAX];
    assert_true(carrier_url_read("https://h.example/x/y?old=1#rc=2", &base));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(carrier_url_resolve(&base, rows[i].reference, &url));
        assert_true(carrier_url_write(&url, true, text, sizeof text));
        assert_string_equal(text, rows[i].text);
    }
}

static void bad_urls_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "h.example/x",
                                      "ftp://h/",
                                      "https://",
                                      "https://:1",
                                      "https://h:0/",
                                      "https://h:65536/",
                                      "https://h:8x/",
                                      "https://h /x",
                                      "https://[::1/",
                                      "wss:///p"};
    struct carrier_url url;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (carrier_url_read(bad[i], &url))
            fail_msg("taken: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_twilios),
        cmocka_unit_test(a_body_is_written_as_twilio_writes_it),
        cmocka_unit_test(utf8_and_marks_are_escaped),
        cmocka_unit_test(what_is_signed_follows_the_scheme),
        cmocka_unit_test(urls_resolve_against_the_document),
        cmocka_unit_test(bad_urls_are_refused),
    };
    return cmocka_run_group_tests_name("carrier_sign", tests, NULL, NULL);
}
