#include "control/media/opus_file.h"

#include "common/panic.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <opusenc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_AT_ONCE 8192 /* libopusenc takes an int */

struct opus_file {
    int fd;
    OggOpusComments *comments;
    OggOpusEnc *encoder;
    EVP_MD_CTX *hash;
    uint64_t bytes;
    int write_error; /* errno of the first write that failed */
    int opus_error;
};

static int write_out(void *context, const unsigned char *data, opus_int32 bytes)
{
    struct opus_file *file = context;
    assert(bytes >= 0);
    EVP_DigestUpdate(file->hash, data, (size_t)bytes);
    file->bytes += (uint64_t)bytes;
    while (bytes > 0 && !file->write_error) {
        ssize_t written = write(file->fd, data, (size_t)bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            file->write_error = written < 0 ? errno : EIO;
            break;
        }
        data += written;
        bytes -= (opus_int32)written;
    }
    return file->write_error != 0;
}

static int leave_open(void *context)
{
    (void)context; /* it is brought to the disk first */
    return 0;
}

static void release(struct opus_file *file)
{
    if (file->encoder)
        ope_encoder_destroy(file->encoder);
    if (file->comments)
        ope_comments_destroy(file->comments);
    EVP_MD_CTX_free(file->hash);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}

/* The encoder sees 48 kHz and would spend its bits above what a telephone has: then one side leaks
 * into the other at -6 dB when both speak; so it is -50 dB. */
static bool narrow(struct opus_file *file)
{
    return ope_encoder_ctl(file->encoder, OPUS_SET_MAX_BANDWIDTH(OPUS_BANDWIDTH_NARROWBAND)) ==
           OPE_OK;
}

static bool open_encoder(struct opus_file *file, unsigned rate_hz, unsigned kbps)
{
    static const OpusEncCallbacks callbacks = {write_out, leave_open};
    file->hash = EVP_MD_CTX_new();
    file->comments = ope_comments_create();
    if (!file->hash || !file->comments || EVP_DigestInit_ex(file->hash, EVP_sha256(), NULL) != 1)
        return false;
    ope_comments_add(file->comments, "DESCRIPTION", "left: caller, right: agent");
    file->encoder =
        ope_encoder_create_callbacks(&callbacks, file, file->comments, (opus_int32)rate_hz,
                                     OPUS_FILE_CHANNELS, 0, &file->opus_error);
    return file->encoder &&
           ope_encoder_ctl(file->encoder, OPUS_SET_BITRATE((opus_int32)kbps * 1000)) == OPE_OK &&
           ope_encoder_ctl(file->encoder, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE)) == OPE_OK &&
           (rate_hz > 8000 || narrow(file));
}

struct opus_file *opus_file_create(const char *path, unsigned rate_hz, unsigned kbps, char *error,
                                   size_t room)
{
    struct opus_file *file = calloc(1, sizeof *file);
    if (!file) {
        snprintf(error, room, "no memory for an encoder");
        return NULL;
    }
    file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0)
        snprintf(error, room, "%s cannot be written: %s", path, strerror(errno));
    else if (open_encoder(file, rate_hz, kbps))
        return file;
    else
        snprintf(error, room, "no encoder: %s", ope_strerror(file->opus_error));
    release(file);
    return NULL;
}

void opus_file_write(struct opus_file *file, const int16_t *frames, size_t count)
{
    while (count > 0 && file->opus_error == OPE_OK) {
        size_t some = count < FRAMES_AT_ONCE ? count : FRAMES_AT_ONCE;
        file->opus_error = ope_encoder_write(file->encoder, frames, (int)some);
        frames += some * OPUS_FILE_CHANNELS;
        count -= some;
    }
}

bool opus_file_finish(struct opus_file *file, struct opus_file_facts *facts, char *error,
                      size_t room)
{
    if (file->opus_error == OPE_OK)
        file->opus_error = ope_encoder_drain(file->encoder);
    if (!file->write_error && fsync(file->fd) != 0)
        file->write_error = errno;
    bool whole = file->opus_error == OPE_OK && !file->write_error;
    if (file->write_error)
        snprintf(error, room, "the file cannot be written: %s", strerror(file->write_error));
    else if (!whole)
        snprintf(error, room, "the encoder says: %s", ope_strerror(file->opus_error));
    facts->bytes = file->bytes;
    EVP_DigestFinal_ex(file->hash, facts->sha256, NULL);
    release(file);
    return whole;
}
