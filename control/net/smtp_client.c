#include "control/net/smtp_client.h"

#include <curl/curl.h>
#include <stdio.h>

struct handing {
    struct span left;
    bool all_sent;
};

static size_t give(char *room, size_t one, size_t count, void *context)
{
    struct handing *handing = context;
    size_t bytes = one * count < handing->left.bytes ? one * count : handing->left.bytes;
    if (bytes > 0)
        memcpy(room, handing->left.data, bytes);
    handing->left = span_from(handing->left.data + bytes, handing->left.bytes - bytes);
    handing->all_sent = handing->left.bytes == 0;
    return bytes;
}

static void set_options(CURL *curl, const struct smtp_client_request *request,
                        struct handing *handing, struct curl_slist *recipients)
{
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)SMTP_CLIENT_CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SMTP_CLIENT_TOTAL_MS);
    curl_easy_setopt(curl, CURLOPT_USE_SSL,
                     request->needs_tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_TRY);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (request->ca_path)
        curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_path);
    curl_easy_setopt(curl, CURLOPT_USERNAME, request->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, request->password);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, request->from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl, CURLOPT_READDATA, handing);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->message.bytes);
}

/* A server that answered has decided; a link that broke before everything was sent has decided,
 * too, because without the final dot there is no message. */
static enum smtp_client_end judge(CURLcode code, int status, const struct handing *handing)
{
    if (code == CURLE_OK)
        return SMTP_CLIENT_TAKEN;
    if (status / 100 == 5 || code == CURLE_URL_MALFORMAT || code == CURLE_LOGIN_DENIED)
        return SMTP_CLIENT_NEVER;
    if (status / 100 == 4 || !handing->all_sent)
        return SMTP_CLIENT_LATER;
    return SMTP_CLIENT_UNSURE;
}

void smtp_client_run(const struct smtp_client_request *request,
                     struct smtp_client_response *response)
{
    struct handing handing = {.left = request->message};
    struct curl_slist *recipients = NULL;
    char words[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    *response = (struct smtp_client_response){.end = SMTP_CLIENT_LATER};
    for (int i = 0; i < request->to_count; i++)
        recipients = curl_slist_append(recipients, request->to[i]);
    if (!curl || !recipients) {
        snprintf(response->error, sizeof response->error, "no memory");
    } else {
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
        set_options(curl, request, &handing, recipients);
        CURLcode code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        response->status = (int)status;
        response->end = judge(code, response->status, &handing);
        if (code != CURLE_OK)
            snprintf(response->error, sizeof response->error, "%s (%ld)",
                     words[0] ? words : curl_easy_strerror(code), status);
    }
    curl_slist_free_all(recipients);
    curl_easy_cleanup(curl);
}
