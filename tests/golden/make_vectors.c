/*
 * make_vectors: write the test vectors of docs/format.md §18, with the fixed keys, to standard
 * output. Salts and sealed keys are random, so every run's are different, and all are right: the
 * file in v1/ is written once, and tests read it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "make_vectors.h"
#include "vectors.h"

void
need(const struct maker *m, int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "make_vectors: %s\n", m->err.message);
    exit(1);
}

json_t *
hex(const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *at = bytes;
    char *text = malloc(2 * len + 1);
    json_t *json;

    if (text == NULL)
        abort();
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[at[i] >> 4];
        text[2 * i + 1] = digits[at[i] & 15];
    }
    json = json_stringn(text, 2 * len);
    free(text);
    return json;
}

json_t *
number64(uint64_t value)
{
    char text[20];

    (void)snprintf(text, sizeof text, "0x%016llx", (unsigned long long)value);
    return json_string(text);
}

static json_t *
make_all(struct maker *m)
{
    struct hq_pack *packs[2];
    json_t *data_pack = make_data_pack(m, &packs[0]);
    json_t *metadata_pack = make_metadata_pack(m, &packs[1]);
    json_t *json = json_pack(
        "{s:s, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:[o, o], s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o}",
        "format", "hq-backup vectors", "version", 1, "repository_id",
        hex(hq_keyring_repository_id(m->restore), HQ_REPOSITORY_ID_BYTES), "region",
        hq_keyring_region(m->restore), "bind", hex(hq_keyring_bind(m->restore), 32), "derivations",
        make_derivations(m), "chunks", make_chunks(m), "gear", make_gear(m), "cuts", make_cuts(m),
        "packs", data_pack, metadata_pack, "index", make_index(m, packs), "root", make_root(m),
        "audit", make_audit(m), "page_map", make_page_map(m), "page_map_1", make_page_map_1(),
        "page_sum", make_page_sum(m), "entries", make_entries(m), "wal", make_wal(m),
        "repository_json", make_repository_json(m));

    hq_pack_free(packs[0]);
    hq_pack_free(packs[1]);
    return json;
}

int
main(void)
{
    struct hq_store_options options = {.url = "memory:vectors"};
    struct maker m = {0};
    struct hq_keyring *restore, *sidecar;
    json_t *json;
    int rc;

    m.restore = restore = hq_vector_keyring(HQ_VECTOR_RESTORE_KEY);
    m.repository.keyring = sidecar = hq_vector_keyring(HQ_VECTOR_SIDECAR_KEY);
    need(&m, hq_store_open(&options, &m.repository.store, &m.err));
    m.ids = hq_chunk_ids_new(sidecar, &m.err);
    m.compressor = hq_compressor_new(3, &m.err);
    need(&m, m.ids != NULL && m.compressor != NULL ? 0 : -1);
    json = make_all(&m);
    rc = json == NULL || json_dumpf(json, stdout, JSON_INDENT(1)) != 0 || putchar('\n') == EOF ||
         fflush(stdout) != 0;
    json_decref(json);
    hq_compressor_free(m.compressor);
    hq_chunk_ids_free(m.ids);
    hq_store_close(m.repository.store);
    hq_keyring_free(sidecar);
    hq_keyring_free(restore);
    return rc;
}
