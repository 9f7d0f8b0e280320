#include "control/net/ai_rest.h"

#include "control/base/json_read.h"

#include <stdlib.h>

#define URL_BYTES 1024

/* The words of its error, and whether its code means that money is out: then waiting is no use. */
static bool read_error(struct http_client_response *response)
{
    json_t *answer =
        response->body ? json_read_object(span_from(response->body, response->bytes)) : NULL;
    const json_t *error = json_object_get(answer, "error");
    const char *message = json_read_text(error, "message", 200);
    const char *code = json_read_text(error, "code", 100);
    bool out_of_money = code && strcmp(code, "insufficient_quota") == 0;
    size_t bytes = strlen(response->error);
    if (message && bytes < sizeof response->error)
        snprintf(response->error + bytes, sizeof response->error - bytes, ": %.200s", message);
    json_decref(answer);
    return out_of_money;
}

static enum ai_rest_end judge(struct http_client_response *response,
                              const struct http_client_wanted *should_retry)
{
    if (response->status / 100 == 2)
        return AI_REST_ANSWERED;
    if (response->end != HTTP_CLIENT_answered)
        return response->try_again ? AI_REST_LATER : AI_REST_NEVER;
    bool again = response->try_again || response->status == 409 || response->status >= 500;
    if (strcmp(should_retry->value, "false") == 0 || read_error(response))
        again = false;
    else if (strcmp(should_retry->value, "true") == 0)
        again = true;
    return again ? AI_REST_LATER : AI_REST_NEVER;
}

static enum ai_rest_end post(const struct ai_rest *ai, const char *place, const char *type,
                             struct span body, struct http_client_response *response)
{
    char url[URL_BYTES];
    struct http_client_wanted wanted = {.name = "x-should-retry"};
    const struct http_client_header headers[] = {{.name = "Content-Type", .value = type}};
    snprintf(url, sizeof url, "%s%s", ai->base_url, place);
    const struct http_client_request request = {.method = "POST",
                                                .url = url,
                                                .headers = headers,
                                                .headers_count = 1,
                                                .body = body,
                                                .bearer = ai->key,
                                                .by_operator = true,
                                                .ca_path = ai->ca_path,
                                                .bytes_max = AI_REST_ANSWER_BYTES,
                                                .connect_ms = AI_REST_CONNECT_MS,
                                                .total_ms = AI_REST_TOTAL_MS,
                                                .wanted = &wanted,
                                                .wanted_count = 1,
                                                .must_stop = ai->must_stop,
                                                .context = ai->context};
    http_client_run(&request, response);
    return judge(response, &wanted);
}

enum ai_rest_end ai_rest_respond(const struct ai_rest *ai, const char *body,
                                 struct http_client_response *response)
{
    return post(ai, "/responses", "application/json", span_of(body), response);
}

/* ---- transcription ---- */

/* Nothing of ours and no sound holds this by chance: 128 random bits stand for it. */
#define BOUNDARY "ringbridge-8f1b6c02d94e4e7fa35c0d7e2b9a6143"

static void write_field(FILE *out, const char *name, const char *value)
{
    fprintf(out, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n",
            name, value);
}

static char *write_form(struct span sound, const char *ending, const char *model,
                        const char *language, size_t *bytes)
{
    char *form = NULL;
    FILE *out = open_memstream(&form, bytes);
    if (!out)
        return NULL;
    write_field(out, "model", model);
    write_field(out, "response_format", "json");
    if (language[0])
        write_field(out, "language", language);
    fprintf(out,
            "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; "
            "filename=\"message%s\"\r\nContent-Type: application/octet-stream\r\n\r\n",
            ending);
    fwrite(sound.data, 1, sound.bytes, out);
    fputs("\r\n--" BOUNDARY "--\r\n", out);
    if (fclose(out) == 0)
        return form;
    free(form);
    return NULL;
}

static enum ai_rest_end read_words(struct http_client_response *response, char **text)
{
    json_t *answer = json_read_object(span_from(response->body, response->bytes));
    const char *words = json_read_text(answer, "text", 200000);
    *text = words ? strdup(words) : NULL;
    if (!*text)
        snprintf(response->error, sizeof response->error, "its answer holds no text");
    json_decref(answer);
    return *text ? AI_REST_ANSWERED : AI_REST_LATER;
}

enum ai_rest_end ai_rest_transcribe(const struct ai_rest *ai, struct span sound, const char *ending,
                                    const char *model, const char *language, char **text,
                                    struct http_client_response *response)
{
    size_t bytes = 0;
    *text = NULL;
    *response = (struct http_client_response){.end = HTTP_CLIENT_failed, .retry_after_s = -1};
    if (sound.bytes == 0 || sound.bytes > AI_REST_SOUND_BYTES) {
        snprintf(response->error, sizeof response->error, "the sound is empty or too large");
        return AI_REST_NEVER;
    }
    char *form = write_form(sound, ending, model, language, &bytes);
    if (!form) {
        snprintf(response->error, sizeof response->error, "no memory");
        return AI_REST_LATER;
    }
    enum ai_rest_end end =
        post(ai, "/audio/transcriptions", "multipart/form-data; boundary=" BOUNDARY,
             span_from(form, bytes), response);
    free(form);
    return end == AI_REST_ANSWERED ? read_words(response, text) : end;
}
