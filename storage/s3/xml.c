/* Bounded parsing of XML with expat. */
#include "xml.h"

#include <expat.h>
#include <string.h>

/*
 * Invariants: depth <= HQ_S3_XML_DEPTH; names[0 .. depth) are the open elements, outermost first;
 * text_len <= HQ_S3_XML_TEXT. After `failed` is set *err holds the reason and nothing is called.
 */
struct parser {
    XML_Parser expat;
    hq_s3_xml_end *end;
    void *context;
    struct hq_error *err;
    bool failed;
    size_t depth;
    char names[HQ_S3_XML_DEPTH][HQ_S3_XML_NAME];
    size_t text_len;
    char text[HQ_S3_XML_TEXT + 1];
};

static void
stop(struct parser *p)
{
    p->failed = true;
    (void)XML_StopParser(p->expat, XML_FALSE);
}

static void
refuse(struct parser *p, const char *why)
{
    if (p->failed)
        return;
    hq_fail(p->err, HQ_E_CORRUPT, "the store's XML %s", why);
    stop(p);
}

static void XMLCALL
on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
    struct parser *p = data;
    const char *colon = strrchr(name, ':');
    const char *local = colon == NULL ? name : colon + 1;
    size_t len = strlen(local);

    (void)attributes;
    if (p->failed)
        return;
    if (p->depth == HQ_S3_XML_DEPTH) {
        refuse(p, "is nested too deeply");
        return;
    }
    if (len >= HQ_S3_XML_NAME) {
        refuse(p, "has an element with too long a name");
        return;
    }
    memcpy(p->names[p->depth++], local, len + 1);
    p->text_len = 0;
}

static void XMLCALL
on_end(void *data, const XML_Char *name)
{
    struct parser *p = data;

    (void)name;
    if (p->failed)
        return;
    p->depth--;
    p->text[p->text_len] = '\0';
    p->text_len = 0;
    if (p->end(p->depth == 0 ? "" : p->names[p->depth - 1], p->names[p->depth], p->text, p->context,
               p->err) != 0)
        stop(p);
}

static void XMLCALL
on_text(void *data, const XML_Char *text, int len)
{
    struct parser *p = data;

    if (p->failed)
        return;
    if ((size_t)len > HQ_S3_XML_TEXT - p->text_len) {
        refuse(p, "has too long a text");
        return;
    }
    memcpy(p->text + p->text_len, text, (size_t)len);
    p->text_len += (size_t)len;
}

static void XMLCALL
on_doctype(void *data, const XML_Char *name, const XML_Char *system, const XML_Char *public_id,
           int has_subset)
{
    (void)name;
    (void)system;
    (void)public_id;
    (void)has_subset;
    refuse(data, "declares a document type");
}

static int
run(struct parser *p, const void *data, size_t len)
{
    XML_SetUserData(p->expat, p);
    XML_SetElementHandler(p->expat, on_start, on_end);
    XML_SetCharacterDataHandler(p->expat, on_text);
    /* Entities can be declared in a document type only, so this refuses them too. */
    XML_SetStartDoctypeDeclHandler(p->expat, on_doctype);
    if (XML_Parse(p->expat, data, (int)len, 1) == XML_STATUS_OK)
        return 0;
    if (!p->failed && XML_GetErrorCode(p->expat) == XML_ERROR_NO_MEMORY)
        return hq_fail(p->err, HQ_E_NOMEM, "the store's XML");
    if (!p->failed)
        hq_fail(p->err, HQ_E_CORRUPT, "the store's XML is damaged: %s",
                XML_ErrorString(XML_GetErrorCode(p->expat)));
    return -1;
}

int
hq_s3_xml_parse(const void *data, size_t len, hq_s3_xml_end *end, void *context,
                struct hq_error *err)
{
    struct parser p = {.end = end, .context = context, .err = err};

    if (len == 0)
        return hq_fail(err, HQ_E_CORRUPT, "the store's XML is empty");
    if (len > INT32_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "the store's XML is too long");
    if ((p.expat = XML_ParserCreate(NULL)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "XML parser");
    int rc = run(&p, data, len);
    XML_ParserFree(p.expat);
    return rc;
}
