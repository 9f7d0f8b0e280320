/* Lists of what a store has: of the disk, page by page in the order of names, and what an S3 store
 * says, believed only when it is a list from its beginning to its end. */
#include "control/media/store.h"
#include "control/media/store_s3_list.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ORG   "11111111-2222-4333-8444-555555555555"
#define OTHER "99999999-2222-4333-8444-555555555555"
#define ID    "ab111111-2222-4333-8444-555555555555"

static char directory[64];
static struct store_page page;

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/ringbridge-list.XXXXXX");
    memset(&page, 0, sizeof page);
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

/* ---- names ---- */

static void names_of_ours_are_told_from_others(void **state)
{
    (void)state;
    static const char *const ours[] = {ORG "/ab/" ID ".opus", ORG "/ab/" ID ".wav",
                                       ORG "/ab/" ID ".wav.part", ORG "/ab/" ID ".a1"};
    static const char *const others[] = {"",
                                         ORG,
                                         ORG "/",
                                         ORG "/ab",
                                         ORG "/ab/" ID,
                                         ORG "/ab/" ID ".",
                                         ORG "/ab/" ID ".Wav",
                                         ORG "/ab/" ID ".extension",
                                         ORG "/ab/" ID ".wav.parts",
                                         ORG "/ab/" ID ".wav/x",
                                         ORG "/ab/" ID "x.wav",
                                         ORG "/ac/" ID ".wav",
                                         ORG "//b/" ID ".wav",
                                         ORG "/AB/AB111111-2222-4333-8444-555555555555.wav",
                                         ORG "/../../" ID ".wav",
                                         OTHER "/ab/" ID ".wav",
                                         ORG "x/ab/" ID ".wav",
                                         "/ab/" ID ".wav"};
    char id[UUID_TEXT_BYTES + 1];
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (!media_dir_read(ours[i], ORG, id))
            fail_msg("%s is ours", ours[i]);
        assert_string_equal(id, ID);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (media_dir_read(others[i], ORG, id))
            fail_msg("%s is not ours", others[i]);
}

/* ---- the disk ---- */

static void put(const char *name, size_t bytes)
{
    char path[512], *slash = path;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    while ((slash = strchr(slash + 1, '/'))) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && close(fd) == 0);
}

static enum store_end list_disk(void)
{
    static struct options options;
    static struct store store;
    options.media_dir = directory;
    store.options = &options;
    return store_disk.list(&store, ORG, &page);
}

static void link_to(const char *target, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(symlink(target, path), 0);
}

static void a_disk_lists_what_is_the_organisations(void **state)
{
    (void)state;
    char path[256];
    assert_int_equal(list_disk(), STORE_DONE); /* it has no directory yet */
    assert_int_equal(page.count, 0);
    put(ORG "/ab/" ID ".wav", 7);
    put(ORG "/00/00111111-2222-4333-8444-555555555555.opus.part", 3);
    put(ORG "/ab/notes.txt", 1);
    put(ORG "/ab/" ID ".wav.of.somebody.with.a.name.that.is.longer.than.any.of.ours", 1);
    put(ORG "/zz/" ID ".wav", 1);
    put(ORG "/ee/gone", 1);
    snprintf(path, sizeof path, "%s/" ORG "/ee/gone", directory);
    assert_int_equal(unlink(path), 0); /* an empty folder */
    put(OTHER "/ab/" ID ".wav", 1);
    link_to("/etc/passwd", ORG "/ab/ab222222-2222-4333-8444-555555555555.wav");
    link_to("../" OTHER "/ab", ORG "/cd");
    assert_int_equal(list_disk(), STORE_LATER); /* a folder that is a link is not gone into */
    snprintf(path, sizeof path, "%s/" ORG "/cd", directory);
    assert_int_equal(unlink(path), 0);
    page.last[0] = '\0';
    assert_int_equal(list_disk(), STORE_DONE);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.others, 3);
    assert_false(page.more);
    assert_string_equal(page.objects[0].key,
                        ORG "/00/00111111-2222-4333-8444-555555555555.opus.part");
    assert_string_equal(page.objects[1].key, ORG "/ab/" ID ".wav");
    assert_int_equal(page.objects[1].bytes, 7);
    assert_true(page.objects[1].changed_ms > INT64_C(1700000000000));
    assert_string_equal(page.last, page.objects[1].key);
}

static void a_disk_that_is_not_there_is_no_empty_list(void **state)
{
    (void)state;
    rmdir(directory);
    assert_int_equal(list_disk(), STORE_LATER);
    put(ORG, 1); /* a file where the directory should be */
    assert_int_equal(list_disk(), STORE_LATER);
}

/* Files of two folders, more than two pages: each name once, in order. */
static void pages_hold_each_name_once_and_in_order(void **state)
{
    (void)state;
    enum { FILES = 2 * STORE_PAGE_OBJECTS + 77 };
    char name[128], last[MEDIA_DIR_NAME_BYTES] = "";
    unsigned seen = 0, pages = 0;
    for (unsigned i = 0; i < FILES; i++) {
        const char *folder = i % 3 ? "0a" : "f0";
        snprintf(name, sizeof name, ORG "/%s/%s%06x-2222-4333-8444-555555555555.wav", folder,
                 folder, (i * 7919) & 0xffffff);
        put(name, 1);
    }
    do {
        assert_int_equal(list_disk(), STORE_DONE);
        assert_true(page.count <= STORE_PAGE_OBJECTS && page.others == 0);
        for (size_t i = 0; i < page.count; i++, seen++) {
            assert_true(strcmp(last, page.objects[i].key) < 0);
            strcpy(last, page.objects[i].key);
        }
        assert_string_equal(page.last, last);
        pages++;
    } while (page.more);
    assert_int_equal(seen, FILES);
    assert_int_equal(pages, 3);
}

/* ---- what an S3 store says ---- */

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "                               \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>sound</Name><Prefix>" ORG             \
    "/</Prefix><KeyCount>1</KeyCount>"
#define END   "</ListBucketResult>"
#define ALL   "<IsTruncated>false</IsTruncated>"
#define MORE  "<IsTruncated>true</IsTruncated>"
#define TOKEN "<NextContinuationToken>1&lt;2+3==</NextContinuationToken>"
#define TIMED "<LastModified>2026-11-20T07:50:01.000Z</LastModified>"
#define SIZED "<Size>7</Size>"
#define OBJECT_OF(key)                                                                             \
    "<Contents><Key>" key "</Key>" TIMED "<ETag>&quot;1&quot;</ETag>" SIZED "</Contents>"
#define OBJECT OBJECT_OF(ORG "/ab/" ID ".wav")

static const char *read_list(const char *prefix, const char *text)
{
    static char error[256];
    error[0] = '\0';
    bool read = store_s3_list_read(span_of(text), prefix, ORG, &page, error, sizeof error);
    assert_true(read == (error[0] == '\0'));
    return error;
}

static void a_list_is_read(void **state)
{
    (void)state;
    page.last[0] = '\0';
    assert_string_equal(read_list("", HEAD ALL OBJECT END), "");
    assert_int_equal(page.count, 1);
    assert_false(page.more);
    assert_string_equal(page.objects[0].key, ORG "/ab/" ID ".wav");
    assert_int_equal(page.objects[0].bytes, 7);
    assert_int_equal(page.objects[0].changed_ms, INT64_C(1795161001000));
    assert_string_equal(page.last, page.objects[0].key);
    assert_string_equal(read_list("", HEAD OBJECT_OF(ORG "/ab/notes") MORE TOKEN END),
                        ""); /* behind it in the order of bytes, and none of ours */
    assert_int_equal(page.count, 0);
    assert_int_equal(page.others, 1);
    assert_true(page.more);
    assert_string_equal(page.token, "1<2+3==");
    page.last[0] = '\0';
    assert_string_equal(read_list("pre/", HEAD OBJECT_OF("pre/" ORG "/ab/" ID ".wav") ALL END), "");
    assert_string_equal(page.objects[0].key, ORG "/ab/" ID ".wav");
    page.last[0] = '\0';
    assert_string_equal(read_list("", HEAD ALL END), "");
    assert_int_equal(page.count, 0);
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "no element found"},
        {"sorry", "syntax error"},
        {"<html><body>Sign in</body></html>", "it is not a list of objects"},
        {"<Error><Code>SlowDown</Code></Error>", "it is not a list of objects"},
        {HEAD OBJECT, "no element found"}, /* cut */
        {HEAD ALL "<Contents><Key>" ORG "/ab/", "no element found"},
        {HEAD ALL OBJECT END "x", "junk after document element"},
        {HEAD OBJECT END, "it does not say whether it is all"},
        {HEAD "<IsTruncated>maybe</IsTruncated>" END, "it does not say whether it is all"},
        {HEAD ALL ALL END, "it says something twice"},
        {HEAD MORE OBJECT END, "it says that there is more, and not where"},
        {HEAD MORE "<NextContinuationToken/>" END, "it says that there is more, and not where"},
        {HEAD ALL OBJECT_OF(OTHER "/ab/" ID ".wav") END, "it lists what was not asked for"},
        {HEAD ALL OBJECT_OF(ORG "x/ab/" ID ".wav") END, "it lists what was not asked for"},
        {HEAD ALL OBJECT_OF("") END, "it lists what was not asked for"},
        {HEAD ALL OBJECT OBJECT END, "its names are not in order"},
        {HEAD ALL OBJECT OBJECT_OF(ORG "/ab/a") END, "its names are not in order"},
        {HEAD ALL "<Contents>" TIMED SIZED "</Contents>" END,
         "it lists an object without name, time or size"},
        {HEAD ALL "<Contents><Key>" ORG "/a</Key>" SIZED "</Contents>" END,
         "it lists an object without name, time or size"},
        {HEAD ALL "<Contents><Key>" ORG "/a</Key>" TIMED "</Contents>" END,
         "it lists an object without name, time or size"},
        {HEAD ALL "<Contents><Key>" ORG "/a</Key><Key>" ORG "/b</Key></Contents>" END,
         "it says something twice"},
        {HEAD ALL "<Contents><Key>" ORG "/a<b/></Key></Contents>" END,
         "it has elements where a text should be"},
        {HEAD ALL "<Contents><LastModified>yesterday</LastModified></Contents>" END,
         "it gives a time that is none"},
        {HEAD ALL "<Contents><LastModified>2026-11-20T07:50:01</LastModified></Contents>" END,
         "it gives a time that is none"},
        {HEAD ALL "<Contents><Size>-1</Size></Contents>" END, "it gives a size that is none"},
        {HEAD ALL "<Contents><Size>99999999999999999999</Size></Contents>" END,
         "it gives a size that is none"},
        {"<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\">]>" HEAD ALL END, "it has a document type"},
        {HEAD "<a><a><a><a><a><a><a><a>", "it is too deep"},
        {HEAD ALL "<Contents><Key>&unknown;</Key></Contents>" END, "undefined entity"},
        {HEAD ALL "<Contents><Key>" ORG "/\x01</Key></Contents>" END,
         "not well-formed (invalid token)"},
    };
    char words[300];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        page.last[0] = '\0';
        snprintf(words, sizeof words, "the store's list is not one: %s", wrong[i].why);
        const char *said = read_list("", wrong[i].text);
        if (strcmp(said, words) != 0)
            fail_msg("%zu: %s instead of %s", i, said, words);
    }
}

static void a_page_repeats_nothing_of_the_last_one(void **state)
{
    (void)state;
    static const char again[] = "the store's list is not one: its names are not in order";
    strcpy(page.last, ORG "/ab/" ID ".wav");
    assert_string_equal(read_list("", HEAD ALL OBJECT END), again);
    strcpy(page.last, ORG "/ac");
    assert_string_equal(read_list("", HEAD ALL OBJECT END), again);
    strcpy(page.last, ORG "/aa");
    assert_string_equal(read_list("", HEAD ALL OBJECT END), "");
}

static void a_list_stays_within_its_bounds(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char *text = NULL;
        size_t bytes;
        FILE *out = open_memstream(&text, &bytes);
        fputs(HEAD ALL, out);
        for (int i = 0; i < STORE_PAGE_OBJECTS + extra; i++)
            fprintf(out, OBJECT_OF(ORG "/ab/ab%06d-2222-4333-8444-555555555555.wav"), i);
        fputs(END, out);
        fclose(out);
        page.last[0] = '\0';
        assert_string_equal(read_list("", text),
                            extra ? "the store's list is not one: it lists more than was asked for"
                                  : "");
        free(text);
    }
    char *text = malloc(8192);
    assert_non_null(text);
    int at = snprintf(text, 8192, "%s", HEAD ALL "<Contents><Key>");
    memset(text + at, 'a', STORE_TOKEN_BYTES);
    snprintf(text + at + STORE_TOKEN_BYTES, 100, "</Key></Contents>" END);
    page.last[0] = '\0';
    assert_string_equal(read_list("", text),
                        "the store's list is not one: it holds a text that is too long");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_ours_are_told_from_others),
        cmocka_unit_test_setup_teardown(a_disk_lists_what_is_the_organisations, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(a_disk_that_is_not_there_is_no_empty_list, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(pages_hold_each_name_once_and_in_order, make_directory,
                                        remove_directory),
        cmocka_unit_test(a_list_is_read),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(a_page_repeats_nothing_of_the_last_one),
        cmocka_unit_test(a_list_stays_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
