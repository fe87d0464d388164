#include "engine/site.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

int
hq_site_store_options(const struct hq_config *config, struct hq_buf *access_key,
                      struct hq_buf *secret_key, struct hq_store_options *out, struct hq_error *err)
{
    const struct hq_config_repository *r = &config->repository;

    if (r->access_key_file != NULL &&
        (hq_config_read_secret(r->access_key_file, access_key, err) != 0 ||
         hq_config_read_secret(r->secret_key_file, secret_key, err) != 0))
        return hq_config_blame(config, "repository.access_key_file", err);
    *out = (struct hq_store_options){
        .url = r->url,
        .endpoint = r->endpoint,
        .region = r->signing_region,
        .style = r->style == HQ_CONFIG_STYLE_VIRTUAL ? "virtual" : "path",
        .ca_file = r->ca_file,
        .access_key = r->access_key_file != NULL ? hq_buf_text(access_key) : NULL,
        .secret_key = r->access_key_file != NULL ? hq_buf_text(secret_key) : NULL,
        .connections = r->connections,
        .timeout_s = r->timeout_s,
        .retry_s = r->retry_s,
        .part_bytes = r->part_bytes,
    };
    return 0;
}

static int
open_keys(struct hq_site *site, struct hq_error *err)
{
    const char *region;

    /* A sidecar's key has no passphrase: nobody is there to type it. */
    if (hq_keyring_load(site->config->key_file, NULL, NULL, &site->keyring, err) != 0) {
        if (err->code == HQ_E_MISSING)
            (void)hq_error_hint(err, "it is the sidecar key that `hq-backup init` made; `hq-backup "
                                     "key sidecar` makes another one from the restore key");
        return hq_config_blame(site->config, "key_file", err);
    }
    region = hq_keyring_region(site->keyring);
    if (strcmp(region, site->config->region) == 0)
        return 0;
    hq_fail(err, HQ_E_REGION, "%s is of region %s, this site is in %s", site->config->key_file,
            region, site->config->region);
    hq_error_hint(err, "data of %s must stay there: use that region's repository and key",
                  site->config->region);
    return hq_config_blame(site->config, "region", err);
}

int
hq_site_configure(const char *config_path, struct hq_site *site, struct hq_error *err)
{
    struct hq_store_options options;

    *site = (struct hq_site){0};
    if (hq_crypto_init(err) != 0 || hq_config_load(config_path, &site->config, err) != 0 ||
        open_keys(site, err) != 0 ||
        hq_site_store_options(site->config, &site->access_key, &site->secret_key, &options, err) !=
            0)
        return -1;
    return hq_store_open(&options, &site->store, err);
}

int
hq_site_open(const char *config_path, struct hq_site *site, struct hq_error *err)
{
    if (hq_site_configure(config_path, site, err) != 0)
        return -1;
    site->repository = hq_repository_open(site->store, site->keyring, site->config->region, err);
    return site->repository == NULL ? -1 : 0;
}

int
hq_site_open_catalog(struct hq_site *site, struct hq_error *err)
{
    HQ_FREE char *path = NULL;

    if (hq_io_make_dirs(site->config->state_directory, 0700, err) != 0)
        return hq_config_blame(site->config, "state_directory", err);
    path = hq_path_join(site->config->state_directory, "catalog.sqlite", err);
    if (path == NULL)
        return -1;
    return hq_catalog_open(path, hq_keyring_repository_id(site->keyring), &site->catalog, err);
}

void
hq_site_close(struct hq_site *site)
{
    hq_catalog_close(site->catalog);
    free(site->repository);
    hq_store_close(site->store);
    hq_keyring_free(site->keyring);
    hq_buf_wipe(&site->access_key);
    hq_buf_wipe(&site->secret_key);
    hq_config_free(site->config);
    *site = (struct hq_site){0};
}

struct hq_pg_options
hq_site_connection(const struct hq_site *site)
{
    return (struct hq_pg_options){.conninfo = site->config->cluster.connection,
                                  .password_file = site->config->cluster.password_file};
}

struct hq_pg_options
hq_site_backup_connection(const struct hq_site *site)
{
    struct hq_pg_options options = hq_site_connection(site);

    if (site->config->cluster.backup_connection != NULL)
        options.conninfo = site->config->cluster.backup_connection;
    return options;
}

int
hq_site_lock(const struct hq_site *site, const char *what, struct hq_error *err)
{
    HQ_FREE char *path = NULL;
    char name[HQ_CLUSTER_NAME_MAX + 32];

    if (hq_io_make_dirs(site->config->state_directory, 0700, err) != 0)
        return hq_config_blame(site->config, "state_directory", err);
    snprintf(name, sizeof name, "%s.%s.lock", site->config->cluster.name, what);
    path = hq_path_join(site->config->state_directory, name, err);
    return path == NULL ? -1 : hq_io_lock(path, err);
}
