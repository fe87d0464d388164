/* Listing, page by page. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3_internal.h"

enum {
    PAGE_BYTES_MAX = 16 * 1024 * 1024,
    /* Pages may be empty (their objects were deleted meanwhile), but not for ever. */
    EMPTY_PAGES_MAX = 1000,
};

/*
 * A listing under way. Keys ascend strictly over all pages (`last` is the greatest so far), so a
 * store that serves the same page again and again is found out.
 */
struct listing {
    struct hq_s3 *s3;
    const char *prefix; /* with the repository's own */
    hq_store_list_fn *each;
    void *context;
    bool v1;
    unsigned empty_pages;
    char token[HQ_S3_XML_TEXT + 1]; /* "": the first page */
    char last[HQ_S3_KEY_MAX + 1];
};

static void
add(struct hq_s3_request *request, const char *name, const char *value)
{
    request->query[request->query_count++] = (struct hq_s3_pair){name, value};
}

static int
fetch(struct listing *l, struct hq_s3_page *page, struct hq_s3_response *response,
      struct hq_error *err)
{
    struct hq_s3_request request = {.method = "GET", .max = PAGE_BYTES_MAX};

    add(&request, "encoding-type", "url");
    add(&request, "max-keys", "1000");
    add(&request, "prefix", l->prefix);
    if (!l->v1)
        add(&request, "list-type", "2");
    if (!l->v1 && l->token[0] != '\0')
        add(&request, "continuation-token", l->token);
    if (l->v1 && l->last[0] != '\0')
        add(&request, "marker", l->last);
    if (hq_s3_perform(l->s3, &request, response, err) != 0 ||
        hq_s3_page_read(response->body.data, response->body.len, page, err) != 0)
        return hq_error_prefix(err, "list %s", l->prefix);
    return 0;
}

/* A store without version 2 refuses its parameter; one that ignores it is seen in advance(). */
static bool
lacks_v2(const struct listing *l, const struct hq_s3_response *response)
{
    return !l->v1 && l->last[0] == '\0' && l->token[0] == '\0' &&
           (response->status == 400 || response->status == 405 || response->status == 501);
}

static int
fetch_page(struct listing *l, struct hq_s3_page *page, struct hq_error *err)
{
    struct hq_s3_response response = {0};
    struct hq_error v1_err;

    int rc = fetch(l, page, &response, err);
    if (rc != 0 && err->code != HQ_E_REGION && lacks_v2(l, &response)) {
        l->v1 = true;
        rc = fetch(l, page, &response, &v1_err);
        atomic_store(&l->s3->list_v1, rc == 0);
    }
    hq_s3_response_clear(&response);
    return rc;
}

static int
deliver(struct listing *l, const struct hq_s3_page *page, struct hq_error *err)
{
    size_t skip = strlen(l->s3->place.prefix);
    size_t prefix_len = strlen(l->prefix);

    for (size_t i = 0; i < page->count; i++) {
        const char *key = hq_s3_page_key(page, i);
        if (strncmp(key, l->prefix, prefix_len) != 0)
            return hq_fail(err, HQ_E_CORRUPT, "list %s: the store answered with other keys",
                           l->prefix);
        if (strcmp(key, l->last) <= 0)
            return hq_fail(err, HQ_E_CORRUPT, "list %s: the keys are out of order", l->prefix);
        strcpy(l->last, key); /* hq_s3_page_read() has checked the length */
        /* Folder markers and whatever else people put into buckets are no objects of ours. */
        if (!hq_store_name_legal(key + skip))
            continue;
        struct hq_object_info info = {.size = page->entries[i].size,
                                      .modified_us = page->entries[i].modified_us};
        strcpy(info.name, key + skip);
        if (l->each(&info, l->context, err) != 0)
            return -1;
    }
    return 0;
}

/* Make ready for the next page of a listing that has one. */
static int
advance(struct listing *l, const struct hq_s3_page *page, struct hq_error *err)
{
    if (page->count == 0 && ++l->empty_pages > EMPTY_PAGES_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "list %s: empty pages without end", l->prefix);
    /* Without a token this is a version 1 answer: those go on behind the last key. */
    if (!l->v1 && page->token[0] == '\0')
        l->v1 = true;
    if (l->v1 && page->count == 0)
        return hq_fail(err, HQ_E_CORRUPT, "list %s: it goes on, but not where", l->prefix);
    strcpy(l->token, page->token);
    return 0;
}

static int
run(struct listing *l, struct hq_s3_page *page, struct hq_error *err)
{
    do {
        /* The connection is back in the pool before each() runs: it may use the store. */
        if (fetch_page(l, page, err) != 0 || deliver(l, page, err) != 0)
            return -1;
        if (page->truncated && advance(l, page, err) != 0)
            return -1;
    } while (page->truncated);
    return 0;
}

int
hq_s3_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
           struct hq_error *err)
{
    struct hq_s3 *s3 = (struct hq_s3 *)store;
    struct listing listing = {
        .s3 = s3, .each = each, .context = context, .v1 = atomic_load(&s3->list_v1)};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf whole = {0};
    struct hq_s3_page *page = calloc(1, sizeof *page);

    hq_buf_printf(&whole, "%s%s", s3->place.prefix, prefix);
    listing.prefix = hq_buf_text(&whole);
    if (page == NULL || listing.prefix == NULL) {
        free(page);
        return hq_fail(err, HQ_E_NOMEM, "list %s", prefix);
    }
    int rc = run(&listing, page, err);
    hq_s3_page_clear(page);
    free(page);
    return rc;
}
