/* store: where finished files of sound are kept, and given back from.
 *
 * Two kinds: the disk (under --media-dir), and a store of objects that speaks S3 (--s3-url). New
 * files go to the second where there is one; each row of recordings says where its own is, so that
 * a change of mind loses nothing. A file is made beside its place (media_dir.h) by whoever makes
 * it, and kept in one step that is harmless to repeat; what is kept has been looked at again before
 * store_keep says so: its size, and with S3 the hash too, which is signed with the request.
 * What it is not: access rights (media_link.h). Objects are private; who lists them looks for what
 * nobody needs any more (jobs/media_check).
 *
 * Owner: the caller, by value. Thread: one at a time. Bounds: a piece STORE_PIECE_BYTES. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_STORE_H
#define RINGBRIDGE_CONTROL_MEDIA_STORE_H

#include "common/span.h"
#include "control/base/options.h"
#include "control/media/media_dir.h"

#define STORE_PIECE_BYTES 262144 /* what one read gives at most */
#define STORE_URL_BYTES   2048

#define STORE_PAGE_OBJECTS 500  /* of one page of a list, at most */
#define STORE_TOKEN_BYTES  2048 /* more than an S3 store's longest name */

enum store_end {
    STORE_DONE,
    STORE_MISSING, /* there is no such file */
    STORE_LATER    /* not now, or not with this configuration: error says why */
};

struct store {
    const struct options *options;
    bool (*must_stop)(void *context); /* or NULL; as in http_client.h */
    void *context;
    unsigned patience_ms; /* for what is small; 0: as long as a file takes */
    char error[640];
};

struct store_file {
    const char *media_type;
    uint64_t bytes;
    struct span sha256;
};

struct store_object {
    char key[MEDIA_DIR_NAME_BYTES];
    int64_t changed_ms; /* by the store's clock */
    uint64_t bytes;
};

/* A part of what a store has of an organisation, in the order of its names' bytes. */
struct store_page {
    char last[MEDIA_DIR_NAME_BYTES]; /* set by who begins: behind this name; "": at the beginning.
                                        Then the last of objects */
    struct store_object objects[STORE_PAGE_OBJECTS]; /* with names of ours (media_dir_read) */
    size_t count;
    size_t others;                 /* with names that are not ours, passed over */
    bool more;                     /* ask again, with the page as it is */
    char token[STORE_TOKEN_BYTES]; /* the store's own word for where to go on, or "" */
};

struct store_kind {
    const char *name; /* as the database has it */
    enum store_end (*keep)(struct store *store, const struct media_path *place,
                           const struct store_file *file);
    enum store_end (*read)(struct store *store, const char *key, uint64_t at, uint8_t *piece,
                           size_t room, size_t *taken);
    enum store_end (*remove)(struct store *store, const char *key);
    /* The next page. STORE_DONE, or STORE_LATER with what was wrong. What is listed was there when
     * it was asked for; names come once each, in order. */
    enum store_end (*list)(struct store *store, const char *organization, struct store_page *page);
};

extern const struct store_kind store_disk, store_s3;

/* For new files; and by the database's name, NULL for what this control has not. */
const struct store_kind *store_chosen(const struct options *options);
const struct store_kind *store_named(const struct options *options, const char *name);

/* An address from which anybody can fetch the object for so long. S3 only; bucket and key are in
 * it, no secret is. False without a configuration. */
bool store_s3_link(const struct options *options, const char *key, int64_t now_ms, unsigned life_s,
                   char url[STORE_URL_BYTES]);

#endif
