/* What a legal object name is. */
#include <string.h>

#include "name.h"
#include "storage/driver.h"

static bool
legal_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static const char *
part_fault(const char *part, size_t len)
{
    if (len == 0)
        return "has an empty part";
    if (len > HQ_OBJECT_PART_MAX)
        return "has a part longer than 255 bytes";
    if (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')))
        return "has a part \".\" or \"..\"";
    return NULL;
}

const char *
hq_store_name_fault(const char *text, bool whole)
{
    size_t start = 0;

    if (strnlen(text, HQ_OBJECT_NAME_MAX + 1) > HQ_OBJECT_NAME_MAX)
        return "is longer than 512 bytes";
    for (size_t i = 0;; i++) {
        if (legal_byte(text[i]))
            continue;
        if (text[i] != '/' && text[i] != '\0')
            return "has a byte outside [A-Za-z0-9._/-]";
        /* The last part of a prefix may be the beginning of one: "a/." leads to "a/.b". */
        if (text[i] == '\0' && !whole)
            return NULL;
        const char *fault = part_fault(text + start, i - start);
        if (fault != NULL || text[i] == '\0')
            return fault;
        start = i + 1;
    }
}

bool
hq_store_name_legal(const char *name)
{
    return hq_store_name_fault(name, true) == NULL;
}
