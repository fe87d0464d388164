#include "recovery_settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

enum {
    SETTING_NAME_MAX = 64
};

/* 'value' for postgresql.conf: quotes are doubled, and a line end can't stand for itself. */
static void
put_value(struct hq_buf *b, const char *value)
{
    hq_buf_put_u8(b, '\'');
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            hq_buf_put(b, "\\n", 2);
            continue;
        }
        if (*value == '\'' || *value == '\\')
            hq_buf_put_u8(b, (uint8_t)*value);
        hq_buf_put_u8(b, (uint8_t)*value);
    }
    hq_buf_put_u8(b, '\'');
}

void
recovery_put_setting(struct hq_buf *b, const char *name, const char *value)
{
    hq_buf_printf(b, "%s = ", name);
    put_value(b, value);
    hq_buf_put_u8(b, '\n');
}

void
recovery_put_target(struct hq_buf *b, const struct hq_target *t)
{
    char text[HQ_TIME_TEXT_MAX];

    switch (t->type) {
    case HQ_TARGET_LATEST:
        return;
    case HQ_TARGET_IMMEDIATE:
        recovery_put_setting(b, "recovery_target", "immediate");
        return;
    case HQ_TARGET_TIME:
        /* The server reads this before it knows names of zones, and Z is one. */
        memcpy(strchr(hq_time_format(t->time_us, text), 'Z'), "+00", sizeof "+00");
        recovery_put_setting(b, "recovery_target_time", text);
        break;
    case HQ_TARGET_LSN:
        recovery_put_setting(b, "recovery_target_lsn", hq_lsn_format(t->lsn, text));
        break;
    case HQ_TARGET_XID:
        recovery_put_setting(b, "recovery_target_xid", t->text);
        break;
    case HQ_TARGET_NAME:
        recovery_put_setting(b, "recovery_target_name", t->text);
        break;
    }
    recovery_put_setting(b, "recovery_target_inclusive", t->exclusive ? "off" : "on");
}

/* What makes up a target, as opposed to how its WAL is got. */
static bool
is_target_setting(const char *name)
{
    static const char *const names[] = {"recovery_target",      "recovery_target_time",
                                        "recovery_target_lsn",  "recovery_target_xid",
                                        "recovery_target_name", "recovery_target_inclusive"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool
is_recovery_setting(const char *name)
{
    return strncasecmp(name, "recovery_target", strlen("recovery_target")) == 0 ||
           strcasecmp(name, "recovery_end_command") == 0 ||
           strcasecmp(name, "restore_command") == 0;
}

static bool
is_comment(const char *line, size_t len)
{
    size_t begin = sizeof RECOVERY_COMMENT - 1;

    return len >= begin && memcmp(line, RECOVERY_COMMENT, begin) == 0;
}

/* The setting that a line sets, "" for none. */
static char *
name_of(const char *line, size_t len, char out[SETTING_NAME_MAX])
{
    size_t n = 0;

    while (n < len && n < SETTING_NAME_MAX - 1 &&
           (isalnum((unsigned char)line[n]) || line[n] == '_'))
        n++;
    memcpy(out, line, n);
    out[n] = '\0';
    return out;
}

/* A walk over lines, each with its end. */
struct lines {
    const char *line;
    size_t len, left;
};

static bool
next_line(struct lines *l)
{
    const char *newline;

    l->line += l->len;
    l->left -= l->len;
    if (l->left == 0)
        return false;
    newline = memchr(l->line, '\n', l->left);
    l->len = newline == NULL ? l->left : (size_t)(newline - l->line) + 1;
    return true;
}

void
recovery_copy_others(const struct hq_buf *old, bool keep_commands, struct hq_buf *conf)
{
    struct lines l = {.line = (const char *)old->data, .left = old->len};
    char name[SETTING_NAME_MAX];

    while (next_line(&l)) {
        name_of(l.line, l.len, name);
        if (!(keep_commands ? is_target_setting(name)
                            : is_recovery_setting(name) || is_comment(l.line, l.len)))
            hq_buf_put(conf, l.line, l.len);
    }
}

/* Undo put_value(). */
static int
take_value(const char *line, size_t len, char out[RECOVERY_VALUE_MAX])
{
    const char *at = memchr(line, '\'', len), *end = line + len;
    size_t n = 0;

    for (at = at == NULL ? end : at + 1; at < end; at++) {
        char c = *at;

        if (c == '\'' && (at + 1 == end || at[1] != '\'')) {
            out[n] = '\0';
            return 0;
        }
        if (c == '\'' || c == '\\') {
            if (++at == end)
                return -1;
            c = *at == 'n' && c == '\\' ? '\n' : *at;
        }
        if (n + 1 >= RECOVERY_VALUE_MAX)
            return -1;
        out[n++] = c;
    }
    return -1;
}

static int
take_target(struct recovery_settings *s, const char *name, const char *value, struct hq_error *err)
{
    struct hq_target *t = &s->target;

    if (strcmp(name, "recovery_target") == 0 && value[0] != '\0') {
        t->type = HQ_TARGET_IMMEDIATE;
    } else if (strcmp(name, "recovery_target_time") == 0) {
        t->type = HQ_TARGET_TIME;
        return hq_time_parse(value, &t->time_us, err);
    } else if (strcmp(name, "recovery_target_lsn") == 0) {
        t->type = HQ_TARGET_LSN;
        if (!hq_lsn_parse(value, &t->lsn))
            return hq_fail(err, HQ_E_CONFIG, "%s is not an LSN", value);
    } else if (strcmp(name, "recovery_target_xid") == 0 ||
               strcmp(name, "recovery_target_name") == 0) {
        t->type = name[16] == 'x' ? HQ_TARGET_XID : HQ_TARGET_NAME;
        snprintf(s->text, sizeof s->text, "%s", value);
        t->text = s->text;
    } else if (strcmp(name, "recovery_target_inclusive") == 0) {
        t->exclusive = strcmp(value, "off") == 0;
    } else if (strcmp(name, "recovery_target_timeline") == 0) {
        t->timeline = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "recovery_target_action") == 0) {
        snprintf(s->action, sizeof s->action, "%.15s", value);
    }
    return 0;
}

int
recovery_settings_decode(const void *text, size_t len, struct recovery_settings *out,
                         struct hq_error *err)
{
    struct lines l = {.line = text, .left = len};
    char name[SETTING_NAME_MAX], value[RECOVERY_VALUE_MAX];

    *out = (struct recovery_settings){.action = "promote"};
    while (next_line(&l)) {
        name_of(l.line, l.len, name);
        if (!is_recovery_setting(name))
            continue;
        if (strcmp(name, "restore_command") == 0)
            out->has_command = true;
        else if (take_value(l.line, l.len, value) != 0)
            return hq_fail(err, HQ_E_CONFIG, "the value of %s can't be read", name);
        else if (take_target(out, name, value, err) != 0)
            return hq_error_prefix(err, "%s", name);
    }
    return 0;
}

int
recovery_settings_read(const char *path, struct recovery_settings *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    if (hq_io_read_file(path, RECOVERY_CONF_MAX, &text, err) != 0)
        return -1;
    if (recovery_settings_decode(text.data, text.len, out, err) != 0) {
        err->code = HQ_E_CONFIG;
        return hq_error_prefix(err, "%s", path);
    }
    return 0;
}

/* @p target NULL: nothing of recovery stays. */
static int
replace(const char *path, const struct hq_target *target, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf old = {0}, conf = {0};

    if (hq_io_read_file(path, RECOVERY_CONF_MAX, &old, err) != 0)
        return -1;
    recovery_copy_others(&old, target != NULL, &conf);
    if (target != NULL)
        recovery_put_target(&conf, target);
    if (hq_buf_check(&conf, path, err) != 0)
        return -1;
    return hq_io_replace(path, conf.data, conf.len, 0600, err);
}

int
recovery_settings_retarget(const char *path, const struct hq_target *target, struct hq_error *err)
{
    return replace(path, target, err);
}

int
recovery_settings_forget(const char *path, struct hq_error *err)
{
    return replace(path, NULL, err);
}
