/*
 * Large objects in parts:
 *
 *     CREATED -- each part stored --> PARTS -- Complete said yes -----------------> DONE
 *        |                              |  \-- its answer lost --> UNSURE
 *        \---- refused ---> ABORT <-----/        HEAD finds all bytes ----------> DONE
 *                                                upload still there: Complete again
 *                                                upload and object gone: start anew
 *
 * From UNSURE no way leads to ABORT: the store may be half through with completing, and some
 * (Ceph's gateway) would then drop the parts of an object they already show.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3_internal.h"

enum {
    PARTS_MAX = 10000, /* S3's rule */
    UPLOAD_ID_MAX = 1024,
    STARTS_MAX = 3, /* times the whole upload is made */
    ANSWER_MAX = 64 * 1024,
};

#define PART_BYTES_MAX (UINT64_C(5) << 30)

enum completion {
    COMPLETED,
    COMPLETION_FAILED,
    COMPLETION_UNSURE,
    UPLOAD_LOST
};

struct upload {
    struct hq_s3 *s3;
    const char *name;
    const struct hq_body *body;
    uint64_t part_bytes;
    char id[UPLOAD_ID_MAX];
    struct hq_buf manifest; /* <CompleteMultipartUpload>, growing by part */
};

static int
create(struct upload *u, struct hq_error *err)
{
    static const struct hq_body nothing = {.data = "", .fd = -1};
    struct hq_s3_response response = {0};
    struct hq_s3_payload payload;
    struct hq_s3_request request = {.method = "POST",
                                    .name = u->name,
                                    .query = {{"uploads", ""}},
                                    .query_count = 1,
                                    .payload = &payload,
                                    .max = ANSWER_MAX};

    if (hq_s3_payload_init(&payload, &nothing, 0, 0, err) != 0)
        return -1;
    int rc = hq_s3_perform(u->s3, &request, &response, err);
    if (rc == 0)
        rc = hq_s3_upload_id_read(response.body.data, response.body.len, u->id, sizeof u->id, err);
    hq_s3_response_clear(&response);
    return rc;
}

/* Best effort: what stays behind takes room until the bucket's lifecycle rule clears it. */
static void
abort_upload(struct upload *u)
{
    struct hq_s3_response response = {0};
    struct hq_error ignored;
    struct hq_s3_request request = {.method = "DELETE",
                                    .name = u->name,
                                    .query = {{"uploadId", u->id}},
                                    .query_count = 1,
                                    .max = ANSWER_MAX};

    (void)!hq_s3_try(u->s3, &request, &response, &ignored);
    hq_s3_response_clear(&response);
}

static void
put_escaped(struct hq_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>&\"'", *text) != NULL)
            hq_buf_printf(out, "&#%d;", *text);
        else
            hq_buf_put_u8(out, (uint8_t)*text);
    }
}

static int
verify_part(const struct hq_s3_request *request, struct hq_s3_response *response,
            struct hq_error *err)
{
    if (response->headers.etag[0] == '\0')
        return hq_fail(err, HQ_E_CORRUPT, "the store gave no ETag for a part");
    return hq_s3_verify_put(request, response, err);
}

static int
put_part(struct upload *u, unsigned number, uint64_t offset, struct hq_error *err)
{
    uint64_t left = u->body->size - offset;
    struct hq_s3_response response = {0};
    struct hq_s3_payload payload;
    char text[16];

    if (hq_s3_payload_init(&payload, u->body, offset, left < u->part_bytes ? left : u->part_bytes,
                           err) != 0)
        return -1;
    snprintf(text, sizeof text, "%u", number);
    struct hq_s3_request request = {.method = "PUT",
                                    .name = u->name,
                                    .query = {{"partNumber", text}, {"uploadId", u->id}},
                                    .query_count = 2,
                                    .payload = &payload,
                                    .max = ANSWER_MAX,
                                    .verify = verify_part};
    int rc = hq_s3_perform(u->s3, &request, &response, err);
    if (rc == 0) {
        hq_buf_printf(&u->manifest, "<Part><PartNumber>%u</PartNumber><ETag>", number);
        put_escaped(&u->manifest, response.headers.etag);
        hq_buf_printf(&u->manifest, "</ETag></Part>");
        rc = hq_buf_check(&u->manifest, "list of parts", err);
    }
    hq_s3_response_clear(&response);
    return rc;
}

static int
put_all_parts(struct upload *u, struct hq_error *err)
{
    unsigned number = 1;

    u->manifest.len = 0;
    hq_buf_printf(&u->manifest, "<CompleteMultipartUpload>");
    for (uint64_t offset = 0; offset < u->body->size; offset += u->part_bytes)
        if (put_part(u, number++, offset, err) != 0)
            return hq_error_prefix(err, "part %u", number - 1);
    hq_buf_printf(&u->manifest, "</CompleteMultipartUpload>");
    return hq_buf_check(&u->manifest, "list of parts", err);
}

static int
on_complete_element(const char *parent, const char *name, const char *text, void *context,
                    struct hq_error *err)
{
    bool *complete = context;

    (void)text;
    (void)err;
    if (parent[0] == '\0')
        *complete = strcmp(name, "CompleteMultipartUploadResult") == 0;
    return 0;
}

/* S3 sends "200" early, to keep the connection alive; whether it worked is in the document. */
static bool
says_complete(const struct hq_buf *body)
{
    struct hq_error ignored;
    bool complete = false;

    return hq_s3_xml_parse(body->data, body->len, on_complete_element, &complete, &ignored) == 0 &&
           complete;
}

/* @return 1: the object is there with all its bytes; 0: not; -1: the store can't say. */
static int
object_there(struct upload *u, struct hq_error *err)
{
    struct hq_object_info info;

    if (hq_s3_head(&u->s3->store, u->name, &info, err) != 0)
        return err->code == HQ_E_MISSING ? 0 : -1;
    return info.size == u->body->size;
}

/* One attempt. From *unsure on, nobody here knows any more whether the upload still exists. */
static enum completion
try_complete(struct upload *u, const struct hq_s3_request *request, struct hq_s3_response *response,
             bool *unsure, struct hq_error *err)
{
    struct hq_error check;

    int rc = hq_s3_try(u->s3, request, response, err);
    if (rc == 0 && says_complete(&response->body))
        return COMPLETED;
    if (rc == 0)
        hq_s3_answer_error(u->s3, response, err);
    /* An answer other than "maybe later" or "no such upload" is a plain no. */
    if (err->code != HQ_E_TRANSIENT && !response->no_upload)
        return COMPLETION_FAILED;
    *unsure = true;
    rc = object_there(u, &check);
    if (rc > 0)
        return COMPLETED;
    if (rc == 0 && response->no_upload)
        return UPLOAD_LOST;
    if (rc < 0) {
        *err = check;
        return COMPLETION_FAILED;
    }
    return COMPLETION_UNSURE;
}

static enum completion
complete(struct upload *u, bool *unsure, struct hq_error *err)
{
    const struct hq_body body = {.data = u->manifest.data, .fd = -1, .size = u->manifest.len};
    struct hq_s3_response response = {0};
    struct hq_s3_retry retry = {0};
    struct hq_s3_payload payload;
    struct hq_s3_request request = {.method = "POST",
                                    .name = u->name,
                                    .query = {{"uploadId", u->id}},
                                    .query_count = 1,
                                    .payload = &payload,
                                    .max = ANSWER_MAX};
    enum completion result = COMPLETION_FAILED;

    if (hq_s3_payload_init(&payload, &body, 0, body.size, err) != 0)
        return COMPLETION_FAILED;
    do {
        result = try_complete(u, &request, &response, unsure, err);
    } while (result == COMPLETION_UNSURE && hq_s3_retry_again(u->s3, &retry, &response, err));
    hq_s3_response_clear(&response);
    return result;
}

/* @return 1: the upload vanished, start anew. */
static int
put_once(struct upload *u, struct hq_error *err)
{
    bool unsure = false;

    if (create(u, err) != 0)
        return -1;
    if (put_all_parts(u, err) != 0) {
        abort_upload(u);
        return -1;
    }
    enum completion result = complete(u, &unsure, err);
    if (result == COMPLETED)
        return 0;
    if (result == UPLOAD_LOST)
        return 1;
    if (result == COMPLETION_FAILED && !unsure)
        abort_upload(u);
    return -1;
}

/* The configured size, or a larger one where there would be too many parts. */
static uint64_t
choose_part_bytes(const struct hq_s3 *s3, uint64_t size)
{
    uint64_t least = size / PARTS_MAX + (size % PARTS_MAX != 0);

    return least > s3->part_bytes ? least : s3->part_bytes;
}

int
hq_s3_put_parts(struct hq_s3 *s3, const char *name, const struct hq_body *body,
                struct hq_error *err)
{
    struct upload upload = {
        .s3 = s3, .name = name, .body = body, .part_bytes = choose_part_bytes(s3, body->size)};
    int rc = 1;

    if (upload.part_bytes > PART_BYTES_MAX)
        return hq_fail(err, HQ_E_USAGE, "PUT %s: larger than S3 objects can be", name);
    for (int i = 0; i < STARTS_MAX && rc == 1; i++)
        rc = put_once(&upload, err);
    hq_buf_clear(&upload.manifest);
    return rc == 0 ? 0 : hq_error_prefix(err, "PUT %s in parts", name);
}
