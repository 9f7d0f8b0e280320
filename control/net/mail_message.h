/* mail_message: an e-mail as RFC 5322 wants it on the wire, for SMTP.
 *
 * What it is: multipart/alternative of a text and an HTML part, both base64 of UTF-8, so that no
 * line is too long and no dot needs stuffing; words outside ASCII in names and subject as RFC 2047
 * has them. What it is not: sending it (smtp_client.h). Addresses were judged by the database
 * (is_email, is_mailbox); what could end a header line is refused here all the same.
 *
 * Owner: the result is the caller's. Thread: any. Bounds: MAIL_MESSAGE_TO_MAX recipients. */
#ifndef RINGBRIDGE_CONTROL_NET_MAIL_MESSAGE_H
#define RINGBRIDGE_CONTROL_NET_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAIL_MESSAGE_TO_MAX        20
#define MAIL_MESSAGE_ADDRESS_BYTES 255

struct mail_message {
    const char *from;     /* an address, or Name <address> */
    const char *reply_to; /* an address, or NULL */
    const char *to[MAIL_MESSAGE_TO_MAX];
    int to_count;
    const char *subject, *text, *html;
    const char *id; /* stable over tries: the left side of the Message-ID, and Idempotency-Key */
    int64_t date_s; /* stable, too */
};

/* The address in "Name <address>", or the whole. False when it does not fit. */
bool mail_message_address(const char *mailbox, char address[MAIL_MESSAGE_ADDRESS_BYTES]);

/* The message with CRLF line ends; malloc'ed. NULL: a control character where none may be, or no
 * memory. */
char *mail_message_write(const struct mail_message *message, size_t *bytes);

#endif
