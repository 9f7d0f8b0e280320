#include "control/service/response.h"

#include "common/panic.h"

void response_empty(struct response *response, int status)
{
    response->status = status;
    response->content_type = NULL;
    response->allow = NULL;
    response->retry_after_s = 0;
    response->bytes = 0;
}

void response_sentence(struct response *response, int status, const char *sentence)
{
    size_t bytes = strlen(sentence);
    assert(bytes < sizeof response->body);
    response_empty(response, status);
    response->content_type = "text/plain; charset=utf-8";
    memcpy(response->body, sentence, bytes);
    response->bytes = bytes;
}

void response_twiml(struct response *response, struct twiml *twiml)
{
    response_empty(response, 200);
    response->content_type = "text/xml; charset=utf-8";
    twiml_open(twiml, response->body, sizeof response->body);
}

void response_twiml_done(struct response *response, struct twiml *twiml)
{
    response->bytes = twiml_close(twiml);
    if (response->bytes == 0)
        response_sentence(response, 500, "The answer did not fit.");
}
