/* What we ask of others, against a real server in another process (http_server.py). */
#include "tests/control/others.h"

#include "control/base/address.h"
#include "control/net/http_client.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct others others;
static struct http_client_response answer;

static int start(void **state)
{
    (void)state;
    return others_start(&others, "tests/control/http_server.py", "http") ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    return others_stop(&others);
}

static int forget(void **state)
{
    (void)state;
    http_client_free(&answer);
    return 0;
}

static const char *in_directory(const char *name)
{
    static char path[4][128];
    static int next;
    char *here = path[next++ % 4];
    snprintf(here, sizeof path[0], "%s/%s", others.directory, name);
    return here;
}

__attribute__((format(printf, 2, 3))) static const char *url(int port, const char *format, ...)
{
    static char text[4][512];
    static int next;
    char *here = text[next++ % 4], path[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    snprintf(here, sizeof text[0], "http%s://localhost:%d/%s",
             port == others.tls || port == others.strange ? "s" : "", port, path);
    return here;
}

static struct http_client_request get(const char *where)
{
    return (struct http_client_request){.method = "GET",
                                        .url = where,
                                        .by_operator = true,
                                        .bytes_max = 100000,
                                        .connect_ms = 5000,
                                        .total_ms = 30000};
}

static bool ask(struct http_client_request request)
{
    http_client_free(&answer);
    return http_client_run(&request, &answer);
}

/* What the server has heard, of /echo. */
static const char *heard(const char *name)
{
    static char text[1024];
    json_t *told = json_loads(answer.body, 0, NULL);
    json_t *headers = json_object_get(told, "headers");
    const char *value = json_string_value(json_object_get(told, name));
    if (!value)
        value = json_string_value(json_object_get(headers, name));
    snprintf(text, sizeof text, "%s", value ? value : "(none)");
    json_decref(told);
    return text;
}

static void an_answer_comes_with_its_headers(void **state)
{
    (void)state;
    struct http_client_wanted wanted[] = {{.name = "x-note"}, {.name = "X-Other"}};
    struct http_client_request request = get(url(others.plain, "echo?a=b"));
    request.wanted = wanted;
    request.wanted_count = 2;
    assert_true(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_answered);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.content_type, "application/json; charset=utf-8");
    assert_string_equal(wanted[0].value, "noted");
    assert_string_equal(wanted[1].value, "");
    assert_string_equal(answer.error, "");
    assert_int_equal(answer.retry_after_s, -1);
    assert_int_equal(answer.bytes, strlen(answer.body));
    assert_string_equal(heard("method"), "GET");
    assert_string_equal(heard("path"), "/echo?a=b");
    assert_string_equal(heard("Authorization"), "(none)");
}

static void headers_bodies_and_credentials_arrive(void **state)
{
    (void)state;
    struct http_client_header headers[] = {{.name = "Content-Type", .value = "application/json"},
                                           {.name = "X-Empty", .value = ""}};
    struct http_client_request request = get(url(others.plain, "echo"));
    request.method = "POST";
    request.headers = headers;
    request.headers_count = 2;
    request.body = span_of("{\"a\":1}");
    request.user = "AC1";
    request.password = "secret:with colon";
    assert_true(ask(request));
    assert_string_equal(heard("method"), "POST");
    assert_string_equal(heard("body"), "{\"a\":1}");
    assert_string_equal(heard("Content-Type"), "application/json");
    assert_string_equal(heard("X-Empty"), "");
    assert_string_equal(heard("Authorization"), "Basic QUMxOnNlY3JldDp3aXRoIGNvbG9u");
    request.user = request.password = NULL;
    request.bearer = "token";
    request.method = "PATCH";
    assert_true(ask(request));
    assert_string_equal(heard("method"), "PATCH");
    assert_string_equal(heard("Authorization"), "Bearer token");
    request.bearer = NULL;
    request.method = "DELETE";
    request.body = (struct span){NULL, 0};
    assert_true(ask(request));
    assert_string_equal(heard("method"), "DELETE");
    assert_string_equal(heard("Authorization"), "(none)"); /* nothing stays in the handle */
    request.method = "POST";
    assert_true(ask(request));
    assert_string_equal(heard("Content-Length"), "0");
}

static void a_file_goes_out_and_one_comes_in(void **state)
{
    (void)state;
    struct stat file;
    struct http_client_request request = get(url(others.plain, "echo"));
    FILE *out = fopen(in_directory("out"), "w");
    fputs("what is in the file", out);
    fclose(out);
    request.method = "PUT";
    request.body_path = in_directory("out");
    assert_true(ask(request));
    assert_string_equal(heard("method"), "PUT");
    assert_string_equal(heard("body"), "what is in the file");
    assert_string_equal(heard("Content-Length"), "19");
    request.body_path = in_directory("missing");
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_failed);
    request = get(url(others.plain, "bytes/70000"));
    request.to_path = in_directory("in");
    assert_true(ask(request));
    assert_null(answer.body);
    assert_int_equal(answer.bytes, 70000);
    assert_string_equal(answer.content_type, "audio/wav");
    assert_int_equal(stat(request.to_path, &file), 0);
    assert_int_equal(file.st_size, 70000);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void what_is_no_success_is_no_file(void **state)
{
    (void)state;
    struct http_client_request request = get(url(others.plain, "status/404"));
    request.to_path = in_directory("never");
    assert_false(ask(request));
    assert_int_equal(answer.status, 404);
    assert_false(answer.try_again);
    assert_string_equal(answer.body, "why: 404");
    assert_string_equal(answer.error, "localhost answered 404");
    assert_int_equal(access(request.to_path, F_OK), -1);
    request.url = url(others.plain, "truncated");
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_broken);
    assert_true(answer.try_again);
    assert_int_equal(access(request.to_path, F_OK), -1);
}

static void bounds_hold(void **state)
{
    (void)state;
    struct http_client_request request = get(url(others.plain, "bytes/1000"));
    request.bytes_max = 1000;
    assert_true(ask(request));
    request.bytes_max = 999;
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_too_large);
    assert_false(answer.try_again);
    assert_null(answer.body);
    request = get(url(others.plain, "endless"));
    request.to_path = in_directory("endless");
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_too_large);
    assert_int_equal(access(request.to_path, F_OK), -1);
    assert_false(ask(get(url(others.plain, "headers"))));
    assert_int_equal(answer.end, HTTP_CLIENT_too_large);
}

static bool always(void *context)
{
    ++*(int *)context;
    return true;
}

static void nobody_waits_for_ever(void **state)
{
    (void)state;
    int asked = 0;
    struct http_client_request request = get(url(others.plain, "silent"));
    request.total_ms = 300;
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_timed_out);
    assert_true(answer.try_again);
    request.total_ms = 30000;
    request.stall_ms = 1000;
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_timed_out);
    request.stall_ms = 0;
    request.must_stop = always;
    request.context = &asked;
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_stopped);
    assert_int_equal(asked, 1);
}

static void what_may_mend_is_said(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool again;
    } cases[] = {{200, false}, {302, false}, {400, false}, {401, false}, {403, false},
                 {408, true},  {410, false}, {429, true},  {500, true},  {501, false},
                 {502, true},  {503, true},  {504, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ask(get(url(others.plain, "status/%d", cases[i].status))),
                         cases[i].status == 200);
        assert_int_equal(answer.end, HTTP_CLIENT_answered);
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(answer.try_again, cases[i].again);
    }
    ask(get(url(others.plain, "later/7")));
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.retry_after_s, 7);
    ask(get(url(others.plain, "later/date")));
    assert_in_range(answer.retry_after_s, 1500, 1800);
    ask(get(url(others.plain, "later/999999")));
    assert_int_equal(answer.retry_after_s, HTTP_CLIENT_RETRY_AFTER_MAX);
    ask(get(url(others.plain, "later/soon")));
    assert_int_equal(answer.retry_after_s, -1);
    ask(get("http://localhost:1/"));
    assert_int_equal(answer.end, HTTP_CLIENT_unreachable);
    assert_true(answer.try_again);
    ask(get("http://nowhere.invalid/"));
    assert_int_equal(answer.end, HTTP_CLIENT_unresolved);
    ask(get(url(others.plain, "garbage")));
    assert_int_equal(answer.end, HTTP_CLIENT_broken);
}

static struct http_client_request get_with_secrets(const char *where)
{
    static const struct http_client_header headers[] = {
        {.name = "X-Key", .value = "hush", .secret = true}, {.name = "X-Open", .value = "said"}};
    struct http_client_request request = get(where);
    request.user = "user";
    request.password = "hush";
    request.headers = headers;
    request.headers_count = 2;
    request.redirects_max = 3;
    request.allow_private = "localhost,127.0.0.1";
    return request;
}

static void a_redirect_is_followed_when_asked_for(void **state)
{
    (void)state;
    assert_false(ask(get(url(others.plain, "redirect/localhost:plain/echo"))));
    assert_int_equal(answer.status, 302);
    assert_string_equal(answer.error, "");
    assert_true(ask(get_with_secrets(url(others.plain, "redirect/localhost:plain/echo"))));
    assert_string_equal(heard("Authorization"), "Basic dXNlcjpodXNo");
    assert_string_equal(heard("X-Key"), "hush");
    struct http_client_request request = get_with_secrets(url(others.plain, "round"));
    assert_false(ask(request));
    assert_int_equal(answer.status, 302); /* where it stopped */
    request = get_with_secrets(url(others.plain, "redirect/localhost:plain/echo"));
    request.method = "POST";
    assert_false(ask(request));
    assert_int_equal(answer.status, 302); /* not what is sent once */
}

static void secrets_stay_at_home(void **state)
{
    (void)state;
    static const char *const foreign[] = {"127.0.0.1:plain", "localhost:plain2"};
    for (int i = 0; i < 2; i++) {
        assert_true(ask(get_with_secrets(url(others.plain, "redirect/%s/echo", foreign[i]))));
        assert_string_equal(heard("Authorization"), "(none)");
        assert_string_equal(heard("X-Key"), "(none)");
        assert_string_equal(heard("X-Open"), "said");
    }
    /* there and back: it is home again */
    assert_true(ask(get_with_secrets(
        url(others.plain, "redirect/127.0.0.1:plain/redirect/localhost:plain/echo"))));
    assert_string_equal(heard("X-Key"), "hush");
    struct http_client_request request =
        get_with_secrets(url(others.tls, "redirect/localhost:plain/echo"));
    request.ca_path = in_directory("authority.pem");
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_refused); /* from https to http */
}

static void certificates_are_checked(void **state)
{
    (void)state;
    struct http_client_request request = get(url(others.tls, "echo"));
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_tls);
    request.ca_path = in_directory("authority.pem");
    assert_true(ask(request));
    request.url = url(others.strange, "echo");
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_tls);
    assert_non_null(strstr(answer.error, "localhost: "));
    request.ca_path = in_directory("none.pem");
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_failed);
}

static void refuse(const char *where)
{
    struct http_client_request request = get(where);
    request.by_operator = false;
    request.redirects_max = 3;
    assert_false(ask(request));
    if (answer.end != HTTP_CLIENT_refused)
        fail_msg("%s: %s %s", where, http_client_end_name(answer.end), answer.error);
    assert_false(answer.try_again);
}

static void private_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "http://127.0.0.1:%d/echo",  "http://2130706433:%d/echo",     "http://0x7f.1:%d/echo",
        "http://0177.0.0.1:%d/echo", "http://localhost:%d/echo",      "http://[::1]:%d/echo",
        "http://0.0.0.0:%d/echo",    "http://[::ffff:127.0.0.1]:%d/", "http://169.254.169.254:%d/"};
    char where[128];
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        snprintf(where, sizeof where, forms[i], others.plain);
        refuse(where);
    }
}

/* The connection is there already, and was allowed: not to this request. */
static void an_open_connection_is_no_way_in(void **state)
{
    (void)state;
    const char *where = url(others.plain, "echo");
    assert_true(ask(get(where)));
    char first[32];
    json_t *told = json_loads(answer.body, 0, NULL);
    json_int_t client = json_integer_value(json_object_get(told, "client"));
    json_decref(told);
    assert_true(ask(get(where)));
    told = json_loads(answer.body, 0, NULL);
    snprintf(first, sizeof first, "%lld", (long long)client);
    assert_int_equal(json_integer_value(json_object_get(told, "client")), client); /* the same */
    json_decref(told);
    refuse(where);
}

static void permission_is_for_the_host_it_names(void **state)
{
    (void)state;
    char list[64];
    struct http_client_request request = get(url(others.plain, "echo"));
    request.by_operator = false;
    request.allow_private = "example.com, LOCALHOST";
    assert_true(ask(request));
    snprintf(list, sizeof list, "localhost:%d", others.plain);
    request.allow_private = list;
    assert_true(ask(request));
    request.url = url(others.plain2, "echo");
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_refused);
    request.allow_private = "local,ocalhost,localhost.example.com";
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_refused);
    /* the operator's own host may be private; where it sends us may not */
    request = get(url(others.plain, "redirect/127.0.0.1:plain/echo"));
    request.redirects_max = 1;
    assert_false(ask(request));
    assert_int_equal(answer.end, HTTP_CLIENT_refused);
}

static void what_is_no_request_of_ours_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"ftp://example.com/",
                                       "file:///etc/passwd",
                                       "gopher://example.com/",
                                       "http://user:word@example.com/",
                                       "http://user@example.com/",
                                       "http://",
                                       "not a URL",
                                       "http://a b/",
                                       "http://example.com/\r\nX: y",
                                       ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        refuse(urls[i]);
    static const struct http_client_header bad[] = {{.name = "X", .value = "a\r\nY: b"},
                                                    {.name = "X:", .value = "a"},
                                                    {.name = "", .value = ""}};
    for (size_t i = 0; i < 3; i++) {
        struct http_client_request request = get(url(others.plain, "echo"));
        request.headers = &bad[i];
        request.headers_count = 1;
        assert_false(ask(request));
        assert_int_equal(answer.end, HTTP_CLIENT_refused);
    }
}

static void addresses_are_told_apart(void **state)
{
    (void)state;
    static const char *const inside[] = {"0.0.0.0",
                                         "10.1.2.3",
                                         "100.64.0.1",
                                         "100.127.255.255",
                                         "127.0.0.1",
                                         "127.9.9.9",
                                         "168.63.129.16",
                                         "169.254.169.254",
                                         "172.16.0.1",
                                         "172.31.255.255",
                                         "192.0.0.192",
                                         "192.168.0.1",
                                         "198.18.0.1",
                                         "198.51.100.1",
                                         "203.0.113.1",
                                         "224.0.0.1",
                                         "255.255.255.255",
                                         "240.0.0.1",
                                         "::",
                                         "::1",
                                         "fd00:ec2::254",
                                         "fe80::1",
                                         "fec0::1",
                                         "ff02::1",
                                         "::ffff:10.0.0.1",
                                         "::127.0.0.1",
                                         "64:ff9b::a00:1",
                                         "64:ff9b:1::1",
                                         "2002:7f00:1::",
                                         "2001::1",
                                         "2001:db8::1",
                                         "not an address",
                                         "",
                                         "100::1"};
    static const char *const outside[] = {
        "1.1.1.1",        "9.255.255.255",  "11.0.0.0",         "100.63.255.255", "100.128.0.0",
        "172.15.255.255", "172.32.0.0",     "192.167.0.1",      "198.17.255.255", "223.255.255.255",
        "2606:4700::1",   "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::", "2a00::1"};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        if (address_text_is_public(inside[i]))
            fail_msg("%s is not public", inside[i]);
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        if (!address_text_is_public(outside[i]))
            fail_msg("%s is public", outside[i]);
}

static void a_request_is_signed_for_amazon(void **state)
{
    (void)state;
    static const char credential[] = "AWS4-HMAC-SHA256 Credential=KEY/";
    struct http_client_request request = get(url(others.plain, "echo"));
    request.sigv4 = "aws:amz:eu-central-1:s3";
    request.user = "KEY";
    request.password = "hush";
    assert_true(ask(request));
    assert_memory_equal(heard("Authorization"), credential, strlen(credential));
    assert_non_null(strstr(heard("Authorization"), "/eu-central-1/s3/aws4_request"));
    assert_null(strstr(answer.body, "hush"));
}

static void *ask_from_thread(void *argument)
{
    struct http_client_response mine;
    struct http_client_request request = get(argument);
    for (int i = 0; i < 20; i++) {
        bool fine = http_client_run(&request, &mine);
        http_client_free(&mine);
        if (!fine)
            return "failed";
    }
    return NULL;
}

static void threads_have_handles_of_their_own(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_from_thread,
                                        (void *)(uintptr_t)url(others.plain, "echo")),
                         0);
    for (int i = 0; i < 4; i++) {
        void *went;
        pthread_join(threads[i], &went);
        assert_null(went);
    }
}

/* libcurl sends again by itself what found a kept connection dead: not what must be asked once. */
static void what_must_be_asked_once_is_asked_once(void **state)
{
    (void)state;
    for (int once = 0; once <= 1; once++) {
        struct http_client_request request = get(url(others.plain, once ? "cut/b" : "cut/a"));
        request.method = "POST";
        request.body = span_of("x=1");
        request.once = once;
        ask(request);
        assert_int_equal(answer.status, 200);
        ask(request);
        assert_int_equal(answer.end, HTTP_CLIENT_cut);
        assert_true(answer.try_again);
        ask(get(url(others.plain, once ? "asked/b" : "asked/a")));
        if (once)
            assert_string_equal(answer.body, "3"); /* two, and this question */
        else
            assert_string_equal(answer.body, "4");
    }
}

static void everything_is_counted(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    http_client_write_figures(out);
    fclose(out);
    for (int end = 0; end < HTTP_CLIENT_ENDS_COUNT; end++) {
        char series[128];
        snprintf(series, sizeof series, "http_requests_total{end=\"%s\"} ",
                 http_client_end_name((enum http_client_end)end));
        const char *at = strstr(text, series);
        assert_non_null(at);
        if (strtoul(at + strlen(series), NULL, 10) == 0)
            fail_msg("%s was never counted", series);
    }
    assert_non_null(strstr(text, "http_answers_total{status=\"4xx\"}"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_answer_comes_with_its_headers, forget),
        cmocka_unit_test_teardown(headers_bodies_and_credentials_arrive, forget),
        cmocka_unit_test_teardown(a_file_goes_out_and_one_comes_in, forget),
        cmocka_unit_test_teardown(what_is_no_success_is_no_file, forget),
        cmocka_unit_test_teardown(bounds_hold, forget),
        cmocka_unit_test_teardown(nobody_waits_for_ever, forget),
        cmocka_unit_test_teardown(what_may_mend_is_said, forget),
        cmocka_unit_test_teardown(a_redirect_is_followed_when_asked_for, forget),
        cmocka_unit_test_teardown(secrets_stay_at_home, forget),
        cmocka_unit_test_teardown(certificates_are_checked, forget),
        cmocka_unit_test_teardown(private_addresses_are_refused, forget),
        cmocka_unit_test_teardown(an_open_connection_is_no_way_in, forget),
        cmocka_unit_test_teardown(permission_is_for_the_host_it_names, forget),
        cmocka_unit_test_teardown(what_is_no_request_of_ours_is_refused, forget),
        cmocka_unit_test_teardown(addresses_are_told_apart, forget),
        cmocka_unit_test_teardown(a_request_is_signed_for_amazon, forget),
        cmocka_unit_test_teardown(threads_have_handles_of_their_own, forget),
        cmocka_unit_test(what_must_be_asked_once_is_asked_once),
        cmocka_unit_test(everything_is_counted),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
