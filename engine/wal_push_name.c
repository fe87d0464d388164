#include <string.h>

#include "wal_push_internal.h"

/* Exactly 8 upper-case digits at *text, which moves behind them. */
static bool
take_u32(const char **text, uint32_t *out)
{
    uint32_t value = 0;

    for (int i = 0; i < 8; i++, (*text)++) {
        char c = **text;

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (c >= 'A' && c <= 'F')
            value = value << 4 | (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

static bool
take_suffix(const char *text, enum wal_file_kind *kind)
{
    uint32_t offset;

    if (*text == '\0') {
        *kind = WAL_FILE_SEGMENT;
        return true;
    }
    if (strcmp(text, ".partial") == 0) {
        *kind = WAL_FILE_PARTIAL;
        return true;
    }
    *kind = WAL_FILE_BACKUP;
    return *text++ == '.' && take_u32(&text, &offset) && strcmp(text, ".backup") == 0;
}

bool
wal_file_name_parse(const char *name, struct wal_file_name *out)
{
    *out = (struct wal_file_name){.kind = WAL_FILE_HISTORY};
    if (!take_u32(&name, &out->timeline) || out->timeline == 0)
        return false;
    if (strcmp(name, ".history") == 0)
        return true;
    return take_u32(&name, &out->log) && take_u32(&name, &out->segment) &&
           take_suffix(name, &out->kind);
}

bool
wal_file_lsn(const struct wal_file_name *name, uint32_t segment_size, uint64_t *lsn)
{
    uint64_t per_log = (UINT64_C(1) << 32) / segment_size;

    *lsn = ((uint64_t)name->log << 32) + (uint64_t)name->segment * segment_size;
    /* The last of all would end where no LSN is. */
    return name->segment < per_log && *lsn <= UINT64_MAX - segment_size;
}
