#include <string.h>

#include "audit_internal.h"
#include "base/utf8.h"
#include "json_internal.h"

/* By enum hq_audit_kind, without HQ_AUDIT_OTHER. */
static const char *const kinds[] = {"gap-acknowledged", "lineage-accepted"};

/* People's words are shown on terminals: they must not steer one. */
static bool
is_plain(const char *text)
{
    const char *at = text;
    size_t len;

    for (; *at != '\0'; at += len)
        if ((len = hq_utf8_length(at)) == 0 || hq_utf8_is_control(at, len))
            return false;
    return at != text;
}

int
hq_audit_check(const struct hq_audit_record *record, struct hq_error *err)
{
    if (!hq_cluster_name_valid(record->cluster))
        return hq_fail(err, HQ_E_USAGE, "\"%s\" is not a cluster's name", record->cluster);
    if (record->kind >= HQ_AUDIT_OTHER)
        return hq_fail(err, HQ_E_USAGE, "audit record of unknown kind");
    if (!is_plain(record->reason))
        return hq_fail(err, HQ_E_USAGE, "the reason is empty or has a control character");
    if (!is_plain(record->who))
        return hq_fail(err, HQ_E_USAGE, "the name of who decides is empty or not plain text");
    if (record->kind == HQ_AUDIT_GAP_ACKNOWLEDGED &&
        (record->timeline == 0 || record->from_lsn >= record->to_lsn))
        return hq_fail(err, HQ_E_USAGE, "a gap needs a timeline and two positions");
    return 0;
}

static void
take_words(struct hq_json_reader *r, const json_t *json, struct hq_audit_record *out)
{
    hq_json_string(r, json, "cluster", out->cluster, sizeof out->cluster);
    out->time_us = hq_json_time(r, json, "time");
    hq_json_string(r, json, "who", out->who, sizeof out->who);
    hq_json_string(r, json, "host", out->host, sizeof out->host);
    hq_json_string(r, json, "program", out->program, sizeof out->program);
    hq_json_string(r, json, "reason", out->reason, sizeof out->reason);
    if (!hq_cluster_name_valid(out->cluster))
        hq_json_wrong(r, "cluster");
    if (!is_plain(out->who))
        hq_json_wrong(r, "who");
    if (!is_plain(out->reason))
        hq_json_wrong(r, "reason");
}

static void
take_gap(struct hq_json_reader *r, const json_t *json, struct hq_audit_record *out)
{
    out->timeline = (uint32_t)hq_json_integer(r, json, "timeline", 1, UINT32_MAX);
    out->from_lsn = hq_json_lsn(r, json, "from_lsn");
    out->to_lsn = hq_json_lsn(r, json, "to_lsn");
    if (out->from_lsn >= out->to_lsn)
        hq_json_wrong(r, "to_lsn");
}

/* Of a kind that this version does not know only what all kinds share is read. */
static void
take_kind(struct hq_json_reader *r, const json_t *json, struct hq_audit_record *out)
{
    char kind[64];

    out->kind = HQ_AUDIT_OTHER;
    hq_json_string(r, json, "kind", kind, sizeof kind);
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kind, kinds[i]) == 0)
            out->kind = (enum hq_audit_kind)i;
    if (out->kind != HQ_AUDIT_OTHER)
        out->system_identifier = hq_json_decimal(r, json, "system_identifier");
    if (out->kind == HQ_AUDIT_GAP_ACKNOWLEDGED)
        take_gap(r, json, out);
}

int
hq_audit_decode(const char *text, size_t len, struct hq_audit_record *out, struct hq_writer *writer,
                struct hq_error *err)
{
    struct hq_json_reader r = {.what = "audit record", .err = err};
    HQ_AUTO(hq_json_clear)
    json_t *json = hq_json_parse(text, len, r.what, err);
    int64_t version;

    *out = (struct hq_audit_record){0};
    if (json == NULL)
        return -1;
    version = hq_json_integer(&r, json, "version", 0, UINT32_MAX);
    if (r.failed || hq_format_check((unsigned)version, 0, err) != 0)
        return -1;
    take_words(&r, json, out);
    hq_json_writer(&r, json, "writer", writer);
    take_kind(&r, json, out);
    return r.failed ? -1 : 0;
}

/* Takes the references it is given; false without memory. */
static bool
add_subject(json_t *json, const struct hq_audit_record *record)
{
    if (json_object_set_new(json, "system_identifier",
                            hq_json_new_decimal(record->system_identifier)) != 0)
        return false;
    if (record->kind != HQ_AUDIT_GAP_ACKNOWLEDGED)
        return true;
    return json_object_set_new(json, "timeline", json_integer(record->timeline)) == 0 &&
           json_object_set_new(json, "from_lsn", hq_json_new_lsn(record->from_lsn)) == 0 &&
           json_object_set_new(json, "to_lsn", hq_json_new_lsn(record->to_lsn)) == 0;
}

int
hq_audit_encode(const struct hq_audit_record *record, const struct hq_writer *writer,
                struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_json_clear)
    json_t *json = json_pack("{s:i, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:o}", "version",
                             HQ_FORMAT_VERSION, "kind", kinds[record->kind], "cluster",
                             record->cluster, "time", hq_json_new_time(record->time_us), "who",
                             record->who, "host", record->host, "program", record->program,
                             "reason", record->reason, "writer", hq_json_new_writer(writer));
    HQ_FREE char *text = NULL;

    if (json == NULL || !add_subject(json, record))
        return hq_fail(err, HQ_E_CONFIG, "audit record: no memory, or the host is not UTF-8");
    if ((text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "audit record");
    hq_buf_put(out, text, strlen(text));
    return hq_buf_check(out, "audit record", err);
}
