/* store_s3_list: what an S3 store answers when it is asked for a list of objects (ListObjectsV2),
 * read strictly.
 *
 * What it is: bytes to struct store_page. What is not such a list to its end is refused as a whole,
 * because files are removed by what it says: cut or malformed XML, a DTD, an element twice or
 * missing, more objects than were asked for, names of anybody else, names out of order or not
 * behind the last page's (so a list can repeat nothing), a page that has no successor although it
 * says so. What it is not: the request (store_s3.c). The only file that knows expat: XML's
 * encodings and escapes are not ours to invent, and expat opens nothing by itself.
 *
 * Thread: any. Owner: the caller. Bounds: the answer is the caller's; depth 8, texts of
 * STORE_TOKEN_BYTES. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_STORE_S3_LIST_H
#define RINGBRIDGE_CONTROL_MEDIA_STORE_S3_LIST_H

#include "control/media/store.h"

/* answer lists what begins with prefix and organization and a slash; page->last is the name that it
 * must begin behind. Fills in the rest of page, names without prefix; false with a sentence in
 * error, and page is not to be used. */
bool store_s3_list_read(struct span answer, const char *prefix, const char *organization,
                        struct store_page *page, char *error, size_t room);

#endif
