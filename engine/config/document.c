/*
 * The YAML document, event by event. The schema has two levels: a mapping or list where a value
 * belongs is refused when it opens, and with it every further depth.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "internal.h"

enum {
    KEY_MAX = 64
};

static const char quote_stars[] = "put quotes around a text that begins with *";

/*
 * `event` is the current event, owned, deleted when the next is read. `section` is the index of
 * the open section or -1; `sections` is where each was opened (line 0: not yet).
 */
struct reader {
    yaml_parser_t yaml;
    yaml_event_t event;
    struct hq_config *config;
    const char *text;
    size_t len;
    int section;
    struct hq_config_mark sections[HQ_CONFIG_SECTIONS_MAX];
};

/* A key as written, kept while the event of its value is read. */
struct key {
    char name[KEY_MAX + 1];
    struct hq_config_mark mark;
};

static struct hq_config_mark
mark_of(const struct reader *r)
{
    return (struct hq_config_mark){r->event.start_mark.line + 1, r->event.start_mark.column + 1};
}

/* Prepend the position of the current event. */
static int
here(const struct reader *r, struct hq_error *err)
{
    return hq_config_at(r->config, mark_of(r), err);
}

/* Whether the indentation of line @p line (from 1) holds a tab. */
static bool
indented_by_tab(const struct reader *r, size_t line)
{
    const char *p = r->text;
    const char *end = r->text + r->len;

    while (--line > 0 && (p = memchr(p, '\n', (size_t)(end - p))) != NULL)
        p++;
    while (p != NULL && p < end && *p == ' ')
        p++;
    return p != NULL && p < end && *p == '\t';
}

/* Line and column of a byte: where libyaml can't read characters it counts bytes only. */
static struct hq_config_mark
mark_of_byte(const struct reader *r, size_t offset)
{
    struct hq_config_mark mark = {1, 1};

    for (size_t i = 0; i < offset && i < r->len; i++) {
        mark.column++;
        if (r->text[i] == '\n')
            mark = (struct hq_config_mark){mark.line + 1, 1};
    }
    return mark;
}

static int
fail_syntax(const struct reader *r, struct hq_error *err)
{
    const yaml_parser_t *yaml = &r->yaml;
    struct hq_config_mark mark = {yaml->problem_mark.line + 1, yaml->problem_mark.column + 1};

    if (yaml->error == YAML_MEMORY_ERROR)
        return hq_fail(err, HQ_E_NOMEM, "parse %s", r->config->marks->file);
    hq_fail(err, HQ_E_CONFIG, "not YAML: %s%s%s", yaml->problem, yaml->context != NULL ? " " : "",
            yaml->context != NULL ? yaml->context : "");
    if (yaml->error == YAML_READER_ERROR)
        mark = mark_of_byte(r, yaml->problem_offset);
    else if (indented_by_tab(r, mark.line))
        hq_error_hint(err, "indent with blanks: YAML takes no tabs there");
    else if (yaml->context != NULL && strstr(yaml->context, "alias") != NULL)
        hq_error_hint(err, "%s", quote_stars);
    return hq_config_at(r->config, mark, err);
}

static int
next_event(struct reader *r, struct hq_error *err)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->yaml, &r->event) == 0)
        return fail_syntax(r, err);
    return 0;
}

/* Is there nothing where a value could be: no text, or a word that YAML reads as null? */
static bool
is_null(const yaml_event_t *event)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    const char *text = (const char *)event->data.scalar.value;

    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++) {
        if (strcmp(text, nulls[i]) == 0)
            return true;
    }
    return false;
}

/* A scalar's text must be one printable line, without tag or anchor. */
static int
check_scalar(const yaml_event_t *event, struct hq_error *err)
{
    const unsigned char *text = event->data.scalar.value;

    if (event->data.scalar.anchor != NULL)
        return hq_fail(err, HQ_E_CONFIG, "anchors (&) are not accepted");
    if (event->data.scalar.tag != NULL)
        return hq_fail(err, HQ_E_CONFIG, "tags (!) are not accepted");
    for (size_t i = 0; i < event->data.scalar.length; i++) {
        if (text[i] < ' ' || text[i] == 0x7f)
            return hq_fail(err, HQ_E_CONFIG, "a line break or control character in a text");
    }
    return 0;
}

/* Say why the current event is not the scalar that belongs here. */
static int
refuse_event(const yaml_event_t *event, const char *wanted, struct hq_error *err)
{
    if (event->type == YAML_ALIAS_EVENT) {
        hq_fail(err, HQ_E_CONFIG, "aliases (*) are not accepted");
        return hq_error_hint(err, "%s", quote_stars);
    }
    return hq_fail(err, HQ_E_CONFIG, "a %s, where %s is expected",
                   event->type == YAML_SEQUENCE_START_EVENT ? "list" : "mapping", wanted);
}

static int
check_opening(const yaml_event_t *event, struct hq_error *err)
{
    if (event->data.mapping_start.anchor != NULL)
        return hq_fail(err, HQ_E_CONFIG, "anchors (&) are not accepted");
    if (event->data.mapping_start.tag != NULL)
        return hq_fail(err, HQ_E_CONFIG, "tags (!) are not accepted");
    return 0;
}

static const char *
section_name(const struct reader *r)
{
    return r->section >= 0 ? hq_config_sections[r->section] : "";
}

static int
refuse_again(const char *name, struct hq_config_mark first, struct hq_error *err)
{
    return hq_fail(err, HQ_E_CONFIG, "key '%s' is given twice; the first is in line %zu", name,
                   first.line);
}

/* Take the current scalar event as a key. */
static int
take_key(const struct reader *r, struct key *key, struct hq_error *err)
{
    const yaml_event_t *event = &r->event;

    if (event->type != YAML_SCALAR_EVENT)
        return refuse_event(event, "a key", err);
    if (check_scalar(event, err) != 0)
        return -1;
    if (event->data.scalar.length > KEY_MAX)
        return hq_fail(err, HQ_E_CONFIG, "unknown key of %zu bytes", event->data.scalar.length);
    (void)snprintf(key->name, sizeof key->name, "%s", (const char *)event->data.scalar.value);
    key->mark = mark_of(r);
    return 0;
}

/* Take the current event as the value of a key. */
static int
take_value(const struct reader *r, const struct hq_config_row *row, struct hq_error *err)
{
    const yaml_event_t *event = &r->event;

    if (event->type != YAML_SCALAR_EVENT)
        return refuse_event(event, "one value", err);
    if (is_null(event)) {
        hq_fail(err, HQ_E_CONFIG, "there is no value");
        return hq_error_hint(err, "write %s%s",
                             row->kind == HQ_KIND_TEXT && row->min == 0 ? "\"\" or " : "",
                             "a value, or leave the key out");
    }
    if (check_scalar(event, err) != 0)
        return -1;
    return hq_config_set(r->config, row, (const char *)event->data.scalar.value, err);
}

/* Read and set the value of a known key. */
static int
read_value(struct reader *r, int index, struct hq_config_mark mark, struct hq_error *err)
{
    const struct hq_config_row *row = &hq_config_rows[index];
    struct hq_config_mark *first = &r->config->marks->at[index];

    if (first->line != 0) {
        refuse_again(row->name, *first, err);
        return hq_config_at(r->config, mark, err);
    }
    if (next_event(r, err) != 0)
        return -1;
    *first = mark_of(r);
    if (take_value(r, row, err) == 0)
        return 0;
    hq_error_prefix(err, "%s", row->name);
    return here(r, err);
}

static int read_keys(struct reader *r, struct hq_error *err);

/* Read the mapping of a section; nothing at all stands for an empty one. */
static int
read_section(struct reader *r, int section, struct hq_config_mark mark, struct hq_error *err)
{
    struct hq_config_mark *first = &r->sections[section];
    int rc;

    if (first->line != 0) {
        refuse_again(hq_config_sections[section], *first, err);
        return hq_config_at(r->config, mark, err);
    }
    *first = mark;
    if (next_event(r, err) != 0)
        return -1;
    if (is_null(&r->event) && check_scalar(&r->event, err) == 0)
        return 0;
    if (r->event.type != YAML_MAPPING_START_EVENT || check_opening(&r->event, err) != 0) {
        hq_fail(err, HQ_E_CONFIG, "'%s' must be a mapping of keys to values, without anchor or tag",
                hq_config_sections[section]);
        return here(r, err);
    }
    r->section = section;
    rc = read_keys(r, err);
    r->section = -1;
    return rc;
}

/* Read keys and values up to the end of the current mapping. */
static int
read_keys(struct reader *r, struct hq_error *err)
{
    for (;;) {
        struct key key;
        int section, row;

        if (next_event(r, err) != 0)
            return -1;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (take_key(r, &key, err) != 0)
            return here(r, err);
        section = r->section < 0 ? hq_config_section_find(key.name) : -1;
        row = hq_config_key_find(section_name(r), key.name);
        if (section < 0 && row < 0) {
            hq_config_refuse_key(section_name(r), key.name, err);
            return here(r, err);
        }
        if ((section >= 0 ? read_section(r, section, key.mark, err)
                          : read_value(r, row, key.mark, err)) != 0)
            return -1;
    }
}

static int
read_root(struct reader *r, struct hq_error *err)
{
    if (next_event(r, err) != 0)
        return -1;
    if (is_null(&r->event))
        return 0;
    if (r->event.type != YAML_MAPPING_START_EVENT) {
        hq_fail(err, HQ_E_CONFIG, "the file must be a mapping of keys to values");
        return here(r, err);
    }
    if (check_opening(&r->event, err) != 0)
        return here(r, err);
    return read_keys(r, err);
}

static int
read_stream(struct reader *r, struct hq_error *err)
{
    /* Stream start, then the start of the first document or, of an empty file, the end. */
    if (next_event(r, err) != 0 || next_event(r, err) != 0)
        return -1;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return 0;
    if (read_root(r, err) != 0 || next_event(r, err) != 0 || next_event(r, err) != 0)
        return -1;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return 0;
    hq_fail(err, HQ_E_CONFIG, "a second document (---) begins here; one is all there may be");
    return here(r, err);
}

int
hq_config_read_document(struct hq_config *config, const void *text, size_t len,
                        struct hq_error *err)
{
    struct reader r = {.config = config, .text = text, .len = len, .section = -1};
    int rc;

    if (yaml_parser_initialize(&r.yaml) == 0)
        return hq_fail(err, HQ_E_NOMEM, "a YAML parser");
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, text, len);
    rc = read_stream(&r, err);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.yaml);
    return rc;
}
