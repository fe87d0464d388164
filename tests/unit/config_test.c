#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

/* The least that is accepted: 7 lines. Tests append to it from line 8 on. */
#define LEAST                                                                                      \
    "region: TR\n"                                                                                 \
    "key_file: /etc/hq/key\n"                                                                      \
    "repository:\n"                                                                                \
    "  url: /backup\n"                                                                             \
    "cluster:\n"                                                                                   \
    "  name: kbb\n"                                                                                \
    "  connection: host=/run/postgresql user=backup\n"

static struct hq_config *
loaded(const char *text)
{
    struct hq_config *config = NULL;
    struct hq_error err = {0};

    if (hq_config_parse("f.yaml", text, strlen(text), &config, &err) != 0)
        fail_msg("%s [%s]", err.message, err.hint);
    return config;
}

static void
check_refused_bytes(const char *text, size_t len, const char *message, const char *hint)
{
    struct hq_config *config = NULL;
    struct hq_error err = {0};

    if (hq_config_parse("f.yaml", text, len, &config, &err) == 0)
        fail_msg("accepted, instead of: %s", message);
    assert_null(config);
    assert_int_equal(err.code, HQ_E_CONFIG);
    if (strstr(err.message, message) != err.message)
        fail_msg("'%s', instead of '%s'", err.message, message);
    if (hint != NULL && strstr(err.hint, hint) == NULL)
        fail_msg("%s: hint '%s', instead of '%s'", err.message, err.hint, hint);
}

static void
check_refused(const char *text, const char *message, const char *hint)
{
    check_refused_bytes(text, strlen(text), message, hint);
}

static void
defaults_are_filled_in(void **state)
{
    struct hq_config *c = loaded(LEAST);

    (void)state;
    assert_string_equal(c->region, "TR");
    assert_string_equal(c->key_file, "/etc/hq/key");
    assert_string_equal(c->state_directory, "/var/lib/hq-backup");
    assert_int_equal(c->log.level, HQ_LOG_INFO);
    assert_int_equal(c->log.format, HQ_LOG_LOGFMT);
    assert_string_equal(c->repository.url, "/backup");
    assert_null(c->repository.endpoint);
    assert_string_equal(c->repository.signing_region, "us-east-1");
    assert_int_equal(c->repository.style, HQ_CONFIG_STYLE_PATH);
    assert_null(c->repository.ca_file);
    assert_null(c->repository.access_key_file);
    assert_null(c->repository.secret_key_file);
    assert_int_equal(c->repository.connections, 8);
    assert_int_equal(c->repository.timeout_s, 30);
    assert_int_equal(c->repository.retry_s, 120);
    assert_int_equal(c->repository.part_bytes, 32 << 20);
    assert_string_equal(c->cluster.name, "kbb");
    assert_null(c->cluster.password_file);
    assert_string_equal(c->cluster.slot, "hq_backup_kbb");
    assert_int_equal(c->wal.flush_interval_ms, 1000);
    assert_int_equal(c->wal.wait_timeout_ms, 300000);
    assert_string_equal(c->spool.path, "/var/lib/hq-backup/spool");
    assert_int_equal(c->slot.policy, HQ_CONFIG_PROTECT_WAL);
    assert_int_equal(c->slot.warning_bytes, UINT64_C(8) << 30);
    assert_int_equal(c->slot.critical_bytes, UINT64_C(32) << 30);
    assert_int_equal(c->slot.limit_bytes, UINT64_C(64) << 30);
    assert_int_equal(c->slot.minimum_free, UINT64_C(2) << 30);
    assert_null(c->slot.wal_directory);
    assert_int_equal(c->slot.interval_ms, 5000);
    assert_string_equal(c->backup.schedule, "0 1 * * *");
    assert_int_equal(c->backup.checkpoint, HQ_CONFIG_CHECKPOINT_FAST);
    assert_int_equal(c->backup.compression_level, 1);
    assert_in_range(c->backup.workers, 1, 64);
    hq_config_free(c);
}

static void
every_value_is_read(void **state)
{
    struct hq_config *c = loaded("---\n"
                                 "region: ES-MD2\n"
                                 "state_directory: /s # where\n"
                                 "key_file: '/k'\n"
                                 "log: {level: error, format: json}\n"
                                 "repository:\n"
                                 "  url: s3://b/p\n"
                                 "  endpoint: https://minio.local:9000\n"
                                 "  signing_region: eu_1\n"
                                 "  style: virtual\n"
                                 "  ca_file: /ca\n"
                                 "  access_key_file: /a\n"
                                 "  secret_key_file: /b\n"
                                 "  connections: '64'\n"
                                 "  timeout: 1h\n"
                                 "  retry: 1000ms\n"
                                 "  part_size: 5MiB\n"
                                 "cluster:\n"
                                 "  name: 0a.b-c_d\n"
                                 "  connection: postgresql://u@h/d\n"
                                 "  password_file: /p\n"
                                 "  slot: s_1\n"
                                 "wal:\n"
                                 "  flush_interval: 100ms\n"
                                 "  wait_timeout: 1d\n"
                                 "spool:\n"
                                 "  path: /wal\n"
                                 "slot:\n"
                                 "  policy: protect-disk\n"
                                 "  warning: 1GiB\n"
                                 "  critical: 2GiB\n"
                                 "  limit: 3GiB\n"
                                 "  minimum_free: 512MiB\n"
                                 "  wal_directory: /pg/pg_wal\n"
                                 "  interval: 1s\n"
                                 "backup:\n"
                                 "  schedule: \"*/30 * * * *\"\n"
                                 "  checkpoint: spread\n"
                                 "  compression_level: 19\n"
                                 "  workers: 3\n"
                                 "...\n");

    (void)state;
    assert_string_equal(c->region, "ES-MD2");
    assert_string_equal(c->state_directory, "/s");
    assert_string_equal(c->key_file, "/k");
    assert_int_equal(c->log.level, HQ_LOG_ERROR);
    assert_int_equal(c->log.format, HQ_LOG_JSON);
    assert_string_equal(c->repository.url, "s3://b/p");
    assert_string_equal(c->repository.endpoint, "https://minio.local:9000");
    assert_string_equal(c->repository.signing_region, "eu_1");
    assert_int_equal(c->repository.style, HQ_CONFIG_STYLE_VIRTUAL);
    assert_string_equal(c->repository.ca_file, "/ca");
    assert_string_equal(c->repository.access_key_file, "/a");
    assert_string_equal(c->repository.secret_key_file, "/b");
    assert_int_equal(c->repository.connections, 64);
    assert_int_equal(c->repository.timeout_s, 3600);
    assert_int_equal(c->repository.retry_s, 1);
    assert_int_equal(c->repository.part_bytes, 5 << 20);
    assert_string_equal(c->cluster.name, "0a.b-c_d");
    assert_string_equal(c->cluster.connection, "postgresql://u@h/d");
    assert_string_equal(c->cluster.password_file, "/p");
    assert_string_equal(c->cluster.slot, "s_1");
    assert_int_equal(c->wal.flush_interval_ms, 100);
    assert_int_equal(c->wal.wait_timeout_ms, 86400000);
    assert_string_equal(c->spool.path, "/wal");
    assert_int_equal(c->slot.policy, HQ_CONFIG_PROTECT_DISK);
    assert_int_equal(c->slot.warning_bytes, UINT64_C(1) << 30);
    assert_int_equal(c->slot.critical_bytes, UINT64_C(2) << 30);
    assert_int_equal(c->slot.limit_bytes, UINT64_C(3) << 30);
    assert_int_equal(c->slot.minimum_free, UINT64_C(1) << 29);
    assert_string_equal(c->slot.wal_directory, "/pg/pg_wal");
    assert_int_equal(c->slot.interval_ms, 1000);
    assert_string_equal(c->backup.schedule, "*/30 * * * *");
    assert_int_equal(c->backup.checkpoint, HQ_CONFIG_CHECKPOINT_SPREAD);
    assert_int_equal(c->backup.compression_level, 19);
    assert_int_equal(c->backup.workers, 3);
    hq_config_free(c);
}

static void
derived_values_follow_others(void **state)
{
    struct hq_config *c = loaded("state_directory: /s/\nregion: TR\nkey_file: /k\nlog:\n"
                                 "repository: {url: /r}\n"
                                 "cluster: {name: a.b-c, connection: host=h}\n"
                                 "backup: {schedule: ''}\n");

    (void)state;
    assert_string_equal(c->cluster.slot, "hq_backup_a_b_c");
    assert_string_equal(c->spool.path, "/s/spool");
    assert_string_equal(c->backup.schedule, "");
    hq_config_free(c);
    /* 54 bytes of name leave no room for "hq_backup_" in the 63 of a slot. */
    check_refused("region: TR\nkey_file: /k\nrepository: {url: /r}\ncluster:\n"
                  "  name: n23456789012345678901234567890123456789012345678901234\n"
                  "  connection: host=h\n",
                  "f.yaml:5:9: cluster.name: too long for a replication slot", "cluster.slot");
    c = loaded("region: TR\nkey_file: /k\nrepository: {url: /r}\ncluster:\n"
               "  name: n2345678901234567890123456789012345678901234567890123\n"
               "  connection: host=h\n");
    assert_int_equal(strlen(c->cluster.slot), 63);
    hq_config_free(c);
}

static void
unknown_keys_say_what_was_meant(void **state)
{
    (void)state;
    check_refused(LEAST "wal:\n  flush_intervall: 1s\n",
                  "f.yaml:9:3: unknown key 'wal.flush_intervall'; did you mean "
                  "'wal.flush_interval'?",
                  NULL);
    check_refused(LEAST "wal: {flush-interval: 1s}\n",
                  "f.yaml:8:7: unknown key 'wal.flush-interval'; did you mean", NULL);
    check_refused(LEAST "backpu:\n  workers: 1\n",
                  "f.yaml:8:1: unknown key 'backpu'; did you mean 'backup'?", NULL);
    check_refused(LEAST "regoin: TR\n", "f.yaml:8:1: unknown key 'regoin'; did you mean 'region'?",
                  NULL);
    check_refused(LEAST "flush_interval: 1s\n",
                  "f.yaml:8:1: unknown key 'flush_interval'; did you mean 'wal.flush_interval'?",
                  "the key 'flush_interval' in the mapping 'wal'");
    check_refused(LEAST "wal.flush_interval: 1s\n",
                  "f.yaml:8:1: unknown key 'wal.flush_interval'; did you mean "
                  "'wal.flush_interval'?",
                  "the key 'flush_interval' in the mapping 'wal'");
    check_refused(LEAST "wal:\n  state_directory: /s\n",
                  "f.yaml:9:3: unknown key 'wal.state_directory'; did you mean 'state_directory'?",
                  "in no mapping");
    check_refused(LEAST "retention: 7d\n", "f.yaml:8:1: unknown key 'retention'", "hq-backup.yaml");
    check_refused(LEAST "foo: 1\n", "f.yaml:8:1: unknown key 'foo'", "hq-backup.yaml");
    check_refused(LEAST "<<: {a: b}\n", "f.yaml:8:1: unknown key '<<'", NULL);
}

static void
repeated_keys_are_refused(void **state)
{
    (void)state;
    check_refused(LEAST "region: TR\n",
                  "f.yaml:8:1: key 'region' is given twice; the first is in line 1", NULL);
    check_refused(LEAST "repository:\n  style: path\n",
                  "f.yaml:8:1: key 'repository' is given twice; the first is in line 3", NULL);
    check_refused(LEAST "wal:\n  wait_timeout: 1s\n  wait_timeout: 2s\n",
                  "f.yaml:10:3: key 'wal.wait_timeout' is given twice; the first is in line 9",
                  NULL);
}

static void
missing_keys_are_listed(void **state)
{
    static const char all[] = "f.yaml: required and missing: region, key_file, repository.url, "
                              "cluster.name, cluster.connection";

    (void)state;
    check_refused("", all, "example");
    check_refused("# nothing\n", all, "example");
    check_refused("---\n", all, "example");
    check_refused("region: TR\nkey_file: /k\ncluster:\n  name: a\n",
                  "f.yaml: required and missing: repository.url, cluster.connection", NULL);
}

static void
bad_values_are_refused(void **state)
{
    static const struct {
        const char *line;
        const char *message;
    } wrong[] = {
        {"log: {level: loud}", "f.yaml:8:14: log.level: 'loud' is not one of debug, info, "},
        {"log: {format: jsn}", "f.yaml:8:15: log.format: 'jsn' is not one of logfmt, json; did "
                               "you mean 'json'?"},
        {"state_directory: var", "f.yaml:8:18: state_directory: not an absolute path"},
        {"wal: {flush_interval: 99ms}",
         "f.yaml:8:23: wal.flush_interval: '99ms' is outside 100ms to 1min"},
        {"wal: {flush_interval: 61s}",
         "f.yaml:8:23: wal.flush_interval: '61s' is outside 100ms to 1min"},
        {"wal: {flush_interval: 1}", "f.yaml:8:23: wal.flush_interval: '1' is not a duration"},
        {"wal: {wait_timeout: 25h}", "f.yaml:8:21: wal.wait_timeout: '25h' is outside 1s to 1d"},
        {"wal: {wait_timeout: }", "f.yaml:8:21: wal.wait_timeout: there is no value"},
        {"wal: {wait_timeout: ~}", "f.yaml:8:21: wal.wait_timeout: there is no value"},
        {"backup: {schedule: null}", "f.yaml:8:20: backup.schedule: there is no value"},
        {"backup: {workers: 0}", "f.yaml:8:19: backup.workers: '0' is outside 1 to 64"},
        {"backup: {workers: 65}", "f.yaml:8:19: backup.workers: '65' is outside 1 to 64"},
        {"backup: {workers: 4294967297}", "f.yaml:8:19: backup.workers: '4294967297' is outside"},
        {"backup: {workers: 99999999999999999999}", "f.yaml:8:19: backup.workers: '9999"},
        {"backup: {workers: -1}", "f.yaml:8:19: backup.workers: '-1' is not a whole number"},
        {"backup: {workers: 0x4}", "f.yaml:8:19: backup.workers: '0x4' is not a whole number"},
        {"backup: {workers: [1]}", "f.yaml:8:19: backup.workers: a list, where one value"},
        {"backup: {workers: {a: 1}}", "f.yaml:8:19: backup.workers: a mapping, where one value"},
        {"backup: {compression_level: 20}", "f.yaml:8:29: backup.compression_level: '20' is"},
        {"backup: [workers]", "f.yaml:8:9: 'backup' must be a mapping"},
        {"backup: fast", "f.yaml:8:9: 'backup' must be a mapping"},
        {"backup: {schedule: \"a\\nb\"}", "f.yaml:8:20: backup.schedule: a line break or control"},
        {"backup: {schedule: \"a\\0b\"}", "f.yaml:8:20: backup.schedule: a line break or control"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[1024];

        (void)snprintf(text, sizeof text, "%s%s\n", LEAST, wrong[i].line);
        check_refused(text, wrong[i].message, NULL);
    }
}

static void
bad_names_are_refused(void **state)
{
    static const struct {
        const char *region, *name, *slot, *url, *endpoint, *message;
    } wrong[] = {
        {"tr", "a", "s", "/r", "https://h", "f.yaml:1:9: region: 'tr' is not the name"},
        {"T", "a", "s", "/r", "https://h", "f.yaml:1:9: region: 1 bytes long, not 2 to 32"},
        {"T1", "a", "s", "/r", "https://h", "f.yaml:1:9: region: 'T1' is not"},
        {"TR_1", "a", "s", "/r", "https://h", "f.yaml:1:9: region: 'TR_1' is not"},
        {"TR", "A", "s", "/r", "https://h", "f.yaml:4:9: cluster.name: 'A' is not a name"},
        {"TR", ".a", "s", "/r", "https://h", "f.yaml:4:9: cluster.name: '.a' is not a name"},
        {"TR", "a/b", "s", "/r", "https://h", "f.yaml:4:9: cluster.name: 'a/b' is not a name"},
        {"TR", "''", "s", "/r", "https://h", "f.yaml:4:9: cluster.name: 0 bytes long"},
        {"TR", "a", "s-1", "/r", "https://h", "f.yaml:6:9: cluster.slot: 's-1' is not a name"},
        {"TR", "a", "s", "r", "https://h", "f.yaml:8:8: repository.url: not the URL"},
        {"TR", "a", "s", "http://r", "https://h", "f.yaml:8:8: repository.url: not the URL"},
        {"TR", "a", "s", "s3://", "https://h", "f.yaml:8:8: repository.url: not the URL"},
        {"TR", "a", "s", "s3://k:s@b", "https://h", "f.yaml:8:8: repository.url: '@' before"},
        {"TR", "a", "s", "/r", "minio:9000", "f.yaml:9:13: repository.endpoint: not an address"},
        {"TR", "a", "s", "/r", "https://", "f.yaml:9:13: repository.endpoint: not an address"},
        {"TR", "a", "s", "/r", "https://h/b", "f.yaml:9:13: repository.endpoint: not an"},
        {"TR", "a", "s", "/r", "https://k:s@h", "f.yaml:9:13: repository.endpoint: '@' before"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[1024];

        (void)snprintf(text, sizeof text,
                       "region: %s\nkey_file: /k\ncluster:\n  name: %s\n  connection: host=h\n"
                       "  slot: %s\nrepository:\n  url: %s\n  endpoint: %s\n",
                       wrong[i].region, wrong[i].name, wrong[i].slot, wrong[i].url,
                       wrong[i].endpoint);
        check_refused(text, wrong[i].message, NULL);
    }
}

static void
one_s3_key_needs_the_other(void **state)
{
    (void)state;
    check_refused("repository: {url: 's3://b', access_key_file: /a}\nregion: TR\nkey_file: /k\n"
                  "cluster: {name: a, connection: host=h}\n",
                  "f.yaml:1:46: repository.access_key_file: needs secret_key_file", NULL);
    check_refused("repository: {url: 's3://b', secret_key_file: /a}\nregion: TR\nkey_file: /k\n"
                  "cluster: {name: a, connection: host=h}\n",
                  "f.yaml:1:46: repository.secret_key_file: needs access_key_file", NULL);
}

static void
stages_of_the_slot_follow_each_other(void **state)
{
    struct hq_config *c = loaded(LEAST "slot: {critical: 8GiB}\n");

    (void)state;
    assert_int_equal(c->slot.warning_bytes, UINT64_C(2) << 30);
    assert_int_equal(c->slot.limit_bytes, UINT64_C(16) << 30);
    hq_config_free(c);
    check_refused(LEAST "slot:\n  critical: 8GiB\n  warning: 8GiB\n",
                  "f.yaml:10:12: slot.warning: not less than slot.critical", NULL);
    check_refused(LEAST "slot:\n  limit: 32GiB\n",
                  "f.yaml:9:10: slot.limit: not more than slot.critical", NULL);
    check_refused(LEAST "slot:\n  warning: 40GiB\n",
                  "f.yaml:9:12: slot.warning: not less than slot.critical", NULL);
    check_refused(LEAST "slot:\n  wal_directory: pg_wal\n",
                  "f.yaml:9:18: slot.wal_directory: not an absolute path", NULL);
    check_refused(
        LEAST "slot:\n  policy: protect-wall\n",
        "f.yaml:9:11: slot.policy: 'protect-wall' is not one of protect-wal, protect-disk; "
        "did you mean 'protect-wal'?",
        NULL);
}

static void
yaml_is_bounded(void **state)
{
    static char big[HQ_CONFIG_FILE_MAX + 1];
    char deep[4096] = LEAST "log: ";
    size_t used = strlen(deep);

    (void)state;
    check_refused("a: *b\n", "f.yaml:1:1: unknown key 'a'", NULL);
    check_refused("region: *b\n", "f.yaml:1:9: region: aliases (*) are not accepted", "quotes");
    check_refused("region: &a TR\n", "f.yaml:1:9: region: anchors (&) are not accepted", NULL);
    check_refused("region: !!str TR\n", "f.yaml:1:9: region: tags (!) are not accepted", NULL);
    check_refused("&a region: TR\n", "f.yaml:1:1: anchors (&) are not accepted", NULL);
    check_refused("&a {region: TR}\n", "f.yaml:1:1: anchors (&) are not accepted", NULL);
    check_refused("log: &a {level: info}\n", "f.yaml:1:6: 'log' must be a mapping", NULL);
    check_refused("log: &a\n", "f.yaml:1:6: 'log' must be a mapping", NULL);
    check_refused("? [a]\n: b\n", "f.yaml:1:3: a list, where a key is expected", NULL);
    check_refused("- a\n", "f.yaml:1:1: the file must be a mapping", NULL);
    check_refused(LEAST "---\nregion: TR\n", "f.yaml:8:1: a second document", NULL);
    check_refused("backup:\n  schedule: */5 * * * *\n", "f.yaml:2:14: not YAML: ", "quotes");
    check_refused("log:\n\tlevel: info\n", "f.yaml:2:1: not YAML: ", "blanks");
    check_refused("region: 'TR\n", "f.yaml:2:1: not YAML: ", NULL);
    check_refused("region: TR\nx: \xff\n", "f.yaml:2:4: not YAML: ", NULL);
    memset(deep + used, '[', sizeof deep - used - 1);
    check_refused(deep, "f.yaml:8:6: 'log' must be a mapping", NULL);
    memset(big, '#', sizeof big);
    check_refused_bytes(big, sizeof big, "f.yaml: larger than 256 KiB", NULL);
    big[sizeof big - 2] = '\n';
    check_refused_bytes(big, sizeof big - 1, "f.yaml: required and missing: region", NULL);
}

static void
blame_names_the_place(void **state)
{
    struct hq_config *c = loaded(LEAST "backup:\n  schedule: 61 * * * *\n");
    struct hq_error err = {0};

    (void)state;
    hq_fail(&err, HQ_E_CONFIG, "minute: 61 is not in 0-59");
    assert_int_equal(hq_config_blame(c, "backup.schedule", &err), -1);
    assert_string_equal(err.message, "f.yaml:9:13: backup.schedule: minute: 61 is not in 0-59");
    hq_fail(&err, HQ_E_MISSING, "gone");
    assert_int_equal(hq_config_blame(c, "spool.path", &err), -1);
    assert_string_equal(err.message, "f.yaml: spool.path: gone");
    assert_int_equal(err.code, HQ_E_MISSING);
    hq_config_free(c);
}

static void
files_are_loaded(void **state)
{
    char path[] = "/tmp/hq_config_test_XXXXXX";
    char message[128];
    int fd = mkstemp(path);
    struct hq_config *c = NULL;
    struct hq_error err = {0};

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(hq_config_load(path, &c, &err), -1);
    (void)snprintf(message, sizeof message, "%s: required and missing: ", path);
    assert_non_null(strstr(err.message, message));
    assert_int_equal(write(fd, LEAST, strlen(LEAST)), strlen(LEAST));
    assert_int_equal(close(fd), 0);
    assert_int_equal(hq_config_load(path, &c, &err), 0);
    assert_string_equal(c->cluster.name, "kbb");
    hq_config_free(c);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(hq_config_load(path, &c, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_null(c);
    hq_config_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(every_value_is_read),
        cmocka_unit_test(derived_values_follow_others),
        cmocka_unit_test(unknown_keys_say_what_was_meant),
        cmocka_unit_test(repeated_keys_are_refused),
        cmocka_unit_test(missing_keys_are_listed),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(one_s3_key_needs_the_other),
        cmocka_unit_test(stages_of_the_slot_follow_each_other),
        cmocka_unit_test(yaml_is_bounded),
        cmocka_unit_test(blame_names_the_place),
        cmocka_unit_test(files_are_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
