/**
 * @file site.h
 * What one configuration file stands for, opened: store, keys, repository, catalog.
 *
 * Region  configuration, key file and repository must name the same one; the first two are
 *         compared before the store is even connected to.
 * Threads opened by one thread; then its members follow their own rules.
 */
#ifndef HQ_ENGINE_SITE_H
#define HQ_ENGINE_SITE_H

#include <stdatomic.h>

#include "catalog/catalog.h"
#include "config/config.h"
#include "postgres/connection.h"
#include "repository/repository.h"

struct hq_site {
    struct hq_config *config;
    struct hq_store *store;
    struct hq_keyring *keyring;
    struct hq_repository *repository;
    struct hq_catalog *catalog; /**< NULL until hq_site_open_catalog() */
    struct hq_buf access_key, secret_key;
    struct hq_store *gate; /**< `store` while it waits for hq_site_verify_repository(), or NULL */
};

/** What the store is to be reached with, from a configuration. Secrets go to the buffers. */
int hq_site_store_options(const struct hq_config *config, struct hq_buf *access_key,
                          struct hq_buf *secret_key, struct hq_store_options *out,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Load @p config_path and open everything but the catalog. hq_site_close() in any case. */
int hq_site_open(const char *config_path, struct hq_site *site, struct hq_error *err) HQ_MUST_CHECK;
/**
 * The same in two steps, for who must begin while the store is away. The first needs no store.
 * hq_site_close() in any case.
 */
int hq_site_configure(const char *config_path, struct hq_site *site,
                      struct hq_error *err) HQ_MUST_CHECK;
/**
 * The second: where the store does not answer (or refuses), repository.json as it was verified last
 * and kept in the state directory, verified again, is gone by; then every use of the store is
 * TRANSIENT until hq_site_verify_repository() says 0. Where none was kept, wait for the store,
 * logging it, until *@p stop (INTERRUPTED).
 */
int hq_site_await_repository(struct hq_site *site, const atomic_int *stop,
                             struct hq_error *err) HQ_MUST_CHECK;
/**
 * Whether the store answers and holds the repository that is gone by. @return 0: it does, and may
 * be used from now on by any thread; -1: TRANSIENT or REFUSED not yet, else never, as
 * hq_repository_open() says. One thread.
 */
int hq_site_verify_repository(struct hq_site *site, struct hq_error *err) HQ_MUST_CHECK;
/** Open the catalog in the state directory (made if missing). */
int hq_site_open_catalog(struct hq_site *site, struct hq_error *err) HQ_MUST_CHECK;
void hq_site_close(struct hq_site *site);
/** Connection options of the configured cluster; strings borrowed from the configuration. */
struct hq_pg_options hq_site_connection(const struct hq_site *site);
/** The same of where base backups are read. */
struct hq_pg_options hq_site_backup_connection(const struct hq_site *site);
/** Lock "<state directory>/<cluster>.<what>.lock". @return a descriptor, or -1 (BUSY). */
int hq_site_lock(const struct hq_site *site, const char *what, struct hq_error *err) HQ_MUST_CHECK;

#endif
