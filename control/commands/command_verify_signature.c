#include "control/carrier/signature.h"
#include "control/commands/command.h"

#include <stdlib.h>
#include <unistd.h>

/* "https://host[:port]" and "/path?query" of --url. */
static bool split_url(const char *url, char base[512], const char **target)
{
    const char *host = strstr(url, "://");
    if (!host)
        return false;
    host += 3;
    size_t bytes = (size_t)(host - url) + strcspn(host, "/?");
    if (bytes >= 512)
        return false;
    memcpy(base, url, bytes);
    base[bytes] = '\0';
    *target = url[bytes] ? url + bytes : "/";
    return signature_base_valid(base) && (*target)[0] == '/';
}

static size_t read_body(uint8_t *body, size_t room)
{
    if (isatty(STDIN_FILENO))
        fputs("The request's body, as it came, then Ctrl-D (nothing for a GET):\n", stderr);
    size_t bytes = fread(body, 1, room, stdin);
    while (bytes > 0 && (body[bytes - 1] == '\n' || body[bytes - 1] == '\r'))
        bytes--; /* an editor's or echo's line end is not part of a form */
    return bytes;
}

static void print_bytes(const char *name, const char *data, size_t bytes)
{
    printf("%s", name);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte < 0x20 || byte == 0x7f)
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
    putchar('\n');
}

/* Every candidate, and what each token makes of it. */
static void print_candidates(const char *base, struct span target, struct span fields,
                             const struct signature_tokens *tokens)
{
    char *url = malloc(SIGNATURE_URL_BYTES_MAX);
    size_t bytes;
    for (unsigned i = 0;
         url && (bytes = signature_url(base, target, i, url, SIGNATURE_URL_BYTES_MAX)); i++) {
        print_bytes("\nurl        ", url, bytes);
        for (int token = 0; token < SIGNATURE_TOKENS_MAX; token++) {
            char text[SIGNATURE_TEXT_BYTES + 1];
            if (!tokens->tokens[token])
                continue;
            signature_compute(tokens->tokens[token], span_from(url, bytes), fields, text);
            printf("signature  %s  (%s token)\n", text, token == 0 ? "current" : "previous");
        }
    }
    free(url);
}

static int judge(const struct signature_request *request, const struct signature_tokens *tokens)
{
    if (!request->presented.data)
        return COMMAND_DONE;
    if (signature_check(request, tokens)) {
        printf("\nThe signature is right.\n");
        return COMMAND_DONE;
    }
    printf(
        "\nThe signature is wrong. In order of likelihood: the token belongs to another account; "
        "--url is not\nwhat Twilio requested (scheme, host, path and query must be exactly the "
        "configured ones); a proxy\nchanged the body.\n");
    return COMMAND_FAILED;
}

static int verify(const struct options *options, const char *base, const char *target,
                  struct span body)
{
    static struct form form;
    const struct signature_tokens tokens = {{options->auth_token, options->auth_token_previous}};
    bool has_hash = strstr(target, "bodySHA256=") != NULL;
    if (!has_hash && form_read(body, &form) != FAULT_NONE)
        return command_fail("the body is not a form (application/x-www-form-urlencoded)");
    struct signature_request request = {
        .base = base, .target = span_of(target), .body = body, .form = has_hash ? NULL : &form};
    if (options->signature)
        request.presented = span_of(options->signature);
    size_t bytes;
    char *fields = signature_fields(request.form, &bytes);
    if (!fields)
        return command_fail("out of memory");
    printf("What is signed is the url, followed directly by the fields. Any of these is taken:\n");
    print_bytes("\nfields     ", fields, bytes);
    print_candidates(base, request.target, span_from(fields, bytes), &tokens);
    int status = judge(&request, &tokens);
    free(fields);
    if (!has_hash)
        form_free(&form);
    return status;
}

int command_verify_signature(const struct options *options)
{
    static uint8_t body[FORM_BYTES_MAX + 1];
    char base[512];
    const char *target;
    if (options->words_count > 1 || !options->url)
        return command_misuse("verify-signature --url URL [--signature TEXT] < body   (the token "
                              "comes from TWILIO_AUTH_TOKEN)");
    if (!options->auth_token)
        return command_fail("set TWILIO_AUTH_TOKEN to the token of the account that signed");
    if (!split_url(options->url, base, &target))
        return command_misuse("--url must be the whole URL that Twilio requested, e.g. "
                              "https://voice.example.com/api/twilio/incoming-call");
    size_t bytes = read_body(body, sizeof body);
    if (bytes > FORM_BYTES_MAX)
        return command_fail("the body is longer than 64 KiB");
    return verify(options, base, target, span_from(body, bytes));
}
