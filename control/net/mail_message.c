#include "control/net/mail_message.h"

#include "common/base64.h"
#include "control/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINE_BYTES 57 /* become 76 characters */
#define WORD_BYTES 42 /* become 56, with =?utf-8?B?...?= less than 76 */

static void write_base64(FILE *out, struct span bytes)
{
    uint8_t line[76];
    while (bytes.bytes > 0) {
        size_t taken = bytes.bytes < LINE_BYTES ? bytes.bytes : LINE_BYTES;
        base64_encode(span_from(bytes.data, taken), line);
        fwrite(line, 1, base64_encoded_bytes(taken), out);
        fputs("\r\n", out);
        bytes = span_from(bytes.data + taken, bytes.bytes - taken);
    }
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.bytes; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

static bool is_clean(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* Encoded words, each of whole characters, folded. */
static void write_words(FILE *out, struct span text)
{
    uint8_t word[76];
    if (is_ascii(text) && text.bytes <= 60) {
        fwrite(text.data, 1, text.bytes, out);
        return;
    }
    for (bool first = true; text.bytes > 0; first = false) {
        size_t taken = text.bytes < WORD_BYTES ? text.bytes : WORD_BYTES;
        while (taken < text.bytes && taken > 1 && (text.data[taken] & 0xc0) == 0x80)
            taken--;
        base64_encode(span_from(text.data, taken), word);
        fprintf(out, "%s=?utf-8?B?%.*s?=", first ? "" : "\r\n ", (int)base64_encoded_bytes(taken),
                (const char *)word);
        text = span_from(text.data + taken, text.bytes - taken);
    }
}

bool mail_message_address(const char *mailbox, char address[MAIL_MESSAGE_ADDRESS_BYTES])
{
    const char *open = strrchr(mailbox, '<');
    struct span span = span_of(open ? open + 1 : mailbox);
    if (open && (span.bytes == 0 || span.data[--span.bytes] != '>'))
        return false;
    return span.bytes > 0 && span_copy_text(span, address, MAIL_MESSAGE_ADDRESS_BYTES);
}

static void write_mailbox(FILE *out, const char *mailbox)
{
    const char *open = strrchr(mailbox, '<');
    if (open && open > mailbox) {
        struct span name = span_from(mailbox, (size_t)(open - mailbox));
        while (name.bytes > 0 && name.data[name.bytes - 1] == ' ')
            name.bytes--;
        bool quoted = is_ascii(name) && name.bytes <= 60;
        fputs(quoted ? "\"" : "", out);
        write_words(out, name);
        fputs(quoted ? "\" " : " ", out);
        mailbox = open;
    }
    fputs(mailbox, out);
}

static void write_date(FILE *out, int64_t date_s)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t at = (time_t)date_s;
    struct tm utc;
    gmtime_r(&at, &utc);
    fprintf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[utc.tm_wday], utc.tm_mday,
            months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* Under the sender's domain, as RFC 5322 advises. */
static void write_id(FILE *out, const struct mail_message *message)
{
    char address[MAIL_MESSAGE_ADDRESS_BYTES] = "";
    const char *domain = NULL;
    if (mail_message_address(message->from, address))
        domain = strrchr(address, '@');
    fprintf(out, "Message-ID: <%s%s>\r\n", message->id, domain ? domain : "@localhost");
    fprintf(out, "Resend-Idempotency-Key: %s\r\n", message->id);
}

static void write_head(FILE *out, const struct mail_message *message)
{
    fputs("From: ", out);
    write_mailbox(out, message->from);
    fputs("\r\nTo: ", out);
    for (int i = 0; i < message->to_count; i++) {
        fputs(i ? ",\r\n " : "", out);
        write_mailbox(out, message->to[i]);
    }
    if (message->reply_to) {
        fputs("\r\nReply-To: ", out);
        write_mailbox(out, message->reply_to);
    }
    fputs("\r\nSubject: ", out);
    write_words(out, span_of(message->subject));
    fputs("\r\n", out);
    write_date(out, message->date_s);
    write_id(out, message);
    fputs("MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n", out);
}

static void write_part(FILE *out, const char *id, const char *type, const char *text)
{
    fprintf(out,
            "--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: "
            "base64\r\n\r\n",
            id, type);
    write_base64(out, span_of(text));
}

char *mail_message_write(const struct mail_message *message, size_t *bytes)
{
    char *text = NULL;
    bool clean = is_clean(message->from) && is_clean(message->reply_to) &&
                 is_clean(message->subject) && is_clean(message->id);
    for (int i = 0; i < message->to_count; i++)
        clean &= is_clean(message->to[i]);
    FILE *out = clean && message->to_count > 0 ? open_memstream(&text, bytes) : NULL;
    if (!out)
        return NULL;
    write_head(out, message);
    /* The boundary cannot occur in base64: it has a dash. */
    fprintf(out, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n", message->id);
    write_part(out, message->id, "text/plain", message->text);
    write_part(out, message->id, "text/html", message->html);
    fprintf(out, "--%s--\r\n", message->id);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
