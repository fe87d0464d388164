/**
 * @file xml.h
 * The XML of S3 answers, which comes from the network: bounded in depth and text, without
 * document types or entities of its own, whole or refused. And what S3 says in it.
 * Threads  reentrant.
 */
#ifndef HQ_S3_XML_H
#define HQ_S3_XML_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    HQ_S3_XML_DEPTH = 16,
    HQ_S3_XML_NAME = 64,   /**< bytes of an element's name, with its zero */
    HQ_S3_XML_TEXT = 8192, /**< bytes of text in one element */
    HQ_S3_LIST_MAX = 1000, /**< objects of one page, as asked for */
    HQ_S3_KEY_MAX = 1024,  /**< bytes of a key, by S3's rule */
};

/**
 * Called at the end of each element: its name and its parent's ("" for the root) without
 * namespace prefixes, and the text since the last tag, zero-terminated.
 * @return 0 to go on, -1 to stop with @p err set.
 */
typedef int hq_s3_xml_end(const char *parent, const char *name, const char *text, void *context,
                          struct hq_error *err);

/** Parse one complete document. @return 0, or -1: CORRUPT, NOMEM or what @p end said. */
int hq_s3_xml_parse(const void *data, size_t len, hq_s3_xml_end *end, void *context,
                    struct hq_error *err) HQ_MUST_CHECK;

/** An <Error> document. Texts are printable, shortened to fit, "" if absent. */
struct hq_s3_error_text {
    char code[64];
    char message[256];
    char region[64];
};

/** Read an error document; @p out is empty if it is none. */
void hq_s3_error_text_read(const void *data, size_t len, struct hq_s3_error_text *out);

/** One object of a listing. */
struct hq_s3_entry {
    size_t key; /**< where its text begins in hq_s3_page.keys */
    uint64_t size;
    int64_t modified_us;
};

/** One page of a listing: `= {0}`, read, release with hq_s3_page_clear(). */
struct hq_s3_page {
    struct hq_s3_entry entries[HQ_S3_LIST_MAX];
    size_t count;
    struct hq_buf keys;             /**< decoded, each with its zero */
    bool truncated;                 /**< more pages follow */
    char token[HQ_S3_XML_TEXT + 1]; /**< where the next one begins; "": after the last key */
};

/** Read a ListObjects answer (version 1 or 2). @return 0, or -1: CORRUPT or NOMEM. */
int hq_s3_page_read(const void *data, size_t len, struct hq_s3_page *out,
                    struct hq_error *err) HQ_MUST_CHECK;
void hq_s3_page_clear(struct hq_s3_page *page);
const char *hq_s3_page_key(const struct hq_s3_page *page, size_t i);

/** The upload id of an InitiateMultipartUploadResult, at most @p max bytes with its zero. */
int hq_s3_upload_id_read(const void *data, size_t len, char *out, size_t max,
                         struct hq_error *err) HQ_MUST_CHECK;

#endif
