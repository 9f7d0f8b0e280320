/* api_document: the OpenAPI 3.1 document, made at boot from the rows that answer.
 *
 * Nothing stands in it that the rows do not say; nothing in the rows is left out. */
#ifndef RINGBRIDGE_CONTROL_API_API_DOCUMENT_H
#define RINGBRIDGE_CONTROL_API_API_DOCUMENT_H

/* The document as text, malloc'ed; NULL without memory, or when a schema does not parse. base: our
 * public URL. After api_rows_open. */
char *api_document_make(const char *base);

#endif
