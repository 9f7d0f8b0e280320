#include "control/api/api_show.h"

#include "common/panic.h"

#include <stdio.h>
#include <stdlib.h>

void api_show_take(struct api *api, char *text)
{
    free(api->answer);
    api->answer = text;
    api->answer_bytes = text ? strlen(text) : 0;
}

/* ---- one ---- */

/* Ids are texts of a fixed form; what has another form is the id of nothing. */
static bool may_be_key(const struct shown *shown, const char *key)
{
    uint8_t uuid[UUID_BYTES];
    return shown->key_is_name || uuid_read(key, uuid);
}

/* malloc'ed JSON text in *text, or the problem that there is none. */
static enum db_result fetch_one(struct api *api, const struct shown *shown, const char *key,
                                char **text)
{
    struct db_rows *rows;
    *text = NULL;
    if (!may_be_key(shown, key))
        return api_missing(api);
    enum db_result result = shown_one(api->db, shown, key, &rows);
    if (result != DB_OK)
        return api_failed(api, result);
    if (db_rows_count(rows) == 1)
        *text = strdup(db_cell(rows, 0, SHOWN_OBJECT));
    db_rows_free(rows);
    return *text ? DB_OK : api_missing(api);
}

/* The object of the text with what more there is to say; text NULL: only that. */
static char *join(const char *text, json_t *more)
{
    json_t *object = text ? json_loads(text, 0, NULL) : json_object();
    if (object && more)
        json_object_update(object, more);
    char *joined = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return joined;
}

static enum db_result write_one(struct api *api, char **kept)
{
    const char *key = api->made[0] ? api->made : api->arguments[0];
    char *text = NULL;
    if (api->row->shown) {
        enum db_result result = fetch_one(api, api->row->shown, key, &text);
        if (result != DB_OK)
            return result;
    }
    api_show_take(api, join(text, api->more));
    if (kept)
        *kept = text;
    else
        free(text);
    return api->answer ? DB_OK : DB_BROKEN;
}

/* ---- a page ---- */

/* Writes as many items as fit; returns how many. */
static int write_items(FILE *out, const struct db_rows *rows, int count)
{
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        const char *item = db_cell(rows, i, SHOWN_OBJECT);
        size_t bytes = strlen(item) + 1;
        if (i > 0 && used + bytes > API_ANSWER_BYTES_MAX)
            return i;
        fprintf(out, "%s%s", i ? "," : "", item);
        used += bytes;
    }
    return count;
}

static char *page_text(const struct db_rows *rows, unsigned limit)
{
    char *text = NULL, cursor[API_CURSOR_BYTES];
    size_t bytes;
    int there = db_rows_count(rows);
    int wanted = there > (int)limit ? (int)limit : there;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    fputs("{\"items\":[", out);
    int written = write_items(out, rows, wanted);
    if (written < there) {
        api_cursor_write(db_cell_number(rows, written - 1, SHOWN_AT_US),
                         db_cell(rows, written - 1, SHOWN_TIE), cursor);
        fprintf(out, "],\"next\":\"%s\"}", cursor);
    } else {
        fputs("],\"next\":null}", out);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* The path's own filter: the thing whose parts these are must be there. */
static enum db_result narrow(struct api *api, const char *filters[SHOWN_FILTERS_MAX])
{
    const struct api_row *row = api->row;
    char *whole;
    for (int i = 0; i < SHOWN_FILTERS_MAX; i++) {
        bool ours = row->parent && row->shown->filters[i].name &&
                    strcmp(row->shown->filters[i].name, row->parent) == 0;
        if (ours && api->query.has_filter[i])
            return api_refuse(api, PROBLEM_parameter, "The path says which %s.", row->parent);
        filters[i] = ours                       ? api->arguments[0]
                     : api->query.has_filter[i] ? api->query.filters[i]
                                                : NULL;
    }
    if (!row->of)
        return DB_OK;
    enum db_result result = fetch_one(api, row->of, api->arguments[0], &whole);
    free(whole);
    return result;
}

static enum db_result write_page(struct api *api)
{
    const char *filters[SHOWN_FILTERS_MAX];
    struct db_rows *rows;
    enum db_result result = narrow(api, filters);
    if (result != DB_OK)
        return result;
    result = shown_page(api->db, api->row->shown, &api->query.place, api->query.limit + 1, filters,
                        &rows);
    if (result != DB_OK)
        return api_failed(api, result);
    api_show_take(api, page_text(rows, api->query.limit));
    db_rows_free(rows);
    return api->answer ? DB_OK : DB_BROKEN;
}

enum db_result api_show_write(struct api *api, char **kept)
{
    if (kept)
        *kept = NULL;
    switch (api->row->shape) {
    case API_NOTHING:
        return DB_OK;
    case API_ONE:
        return write_one(api, kept);
    case API_PAGE:
        return write_page(api);
    }
    return DB_BROKEN;
}

/* ---- GET ---- */

static enum db_result show(struct db *db, void *context)
{
    struct api *api = context;
    enum db_result result = DB_OK;
    (void)db;
    api->problem.status = 0;
    api->retry_after_s = 0;
    api->status = api->row->status;
    if (api->row->act)
        result = api->row->act(api);
    return result == DB_OK ? api_show_write(api, NULL) : result;
}

void api_show(struct api *api)
{
    enum db_result result = db_transact(api->db, api->caller.organization, show, api);
    if (result != DB_OK)
        api_failed(api, result);
    else if (api->answer_bytes > API_ANSWER_BYTES_MAX + API_ANSWER_BYTES_MAX / 4)
        api_refuse(api, PROBLEM_internal, "The answer is longer than can be carried.");
}
