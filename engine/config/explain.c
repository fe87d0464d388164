#include "config/config.h"

#include "schema.h"

static const char *
type_name(enum hq_config_kind kind)
{
    switch (kind) {
    case HQ_KIND_TEXT:
        return "text";
    case HQ_KIND_PATH:
        return "path";
    case HQ_KIND_SECRET_FILE:
        return "path of a secret";
    case HQ_KIND_WORD:
        return "word";
    case HQ_KIND_COUNT:
        return "number";
    case HQ_KIND_DURATION_MS:
    case HQ_KIND_DURATION_S:
        return "duration";
    case HQ_KIND_SIZE:
        return "size";
    }
    return "";
}

size_t
hq_config_key_count(void)
{
    return hq_config_row_count;
}

void
hq_config_key_get(size_t index, struct hq_config_key *out)
{
    const struct hq_config_row *row = &hq_config_rows[index];

    *out = (struct hq_config_key){
        .name = row->name,
        .type = type_name(row->kind),
        .value = row->value != NULL ? row->value : row->otherwise,
        .help = row->help,
    };
    hq_config_row_range(row, out->range);
}

int
hq_config_explain(struct hq_buf *out, struct hq_error *err)
{
    for (size_t i = 0; i < hq_config_row_count; i++) {
        struct hq_config_key key;

        hq_config_key_get(i, &key);
        hq_buf_printf(out, "%s%s: %s\n    %s\n    values: %s\n", i > 0 ? "\n" : "", key.name,
                      key.type, key.help, key.range);
        if (key.value != NULL)
            hq_buf_printf(out, "    default: %s\n", key.value);
        else
            hq_buf_printf(out, "    required\n");
    }
    return hq_buf_check(out, "the description of the configuration", err);
}
