#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

#define AT(member) offsetof(struct hq_config, member)
#define SECONDS(n) ((n)*UINT64_C(1000))
#define HOURS(n) SECONDS((n)*UINT64_C(3600))
#define MIB(n) ((n)*UINT64_C(1048576))
#define TIB(n) MIB((n)*UINT64_C(1048576))

static const char *const log_levels[] = {
    [HQ_LOG_DEBUG] = "debug",
    [HQ_LOG_INFO] = "info",
    [HQ_LOG_WARNING] = "warning",
    [HQ_LOG_ERROR] = "error",
    NULL,
};
static const char *const log_formats[] = {[HQ_LOG_LOGFMT] = "logfmt", [HQ_LOG_JSON] = "json", NULL};
static const char *const styles[] = {
    [HQ_CONFIG_STYLE_PATH] = "path", [HQ_CONFIG_STYLE_VIRTUAL] = "virtual", NULL};
static const char *const checkpoints[] = {
    [HQ_CONFIG_CHECKPOINT_FAST] = "fast", [HQ_CONFIG_CHECKPOINT_SPREAD] = "spread", NULL};
static const char *const modes[] = {[HQ_CONFIG_MODE_AUTO] = "auto",
                                    [HQ_CONFIG_MODE_FILES] = "files",
                                    [HQ_CONFIG_MODE_STREAM] = "stream",
                                    NULL};
static const char *const slot_policies[] = {
    [HQ_CONFIG_PROTECT_WAL] = "protect-wal", [HQ_CONFIG_PROTECT_DISK] = "protect-disk", NULL};

static const char *const wal_sources[] = {
    [HQ_CONFIG_WAL_STREAM] = "stream", [HQ_CONFIG_WAL_PUSH] = "push", NULL};
static const char *const durables[] = {
    [HQ_CONFIG_DURABLE_STORE] = "store", [HQ_CONFIG_DURABLE_SPOOL] = "spool", NULL};

const char *const hq_config_sections[] = {
    "log", "repository", "cluster", "wal", "spool", "slot", "backup", "metrics", NULL,
};

const struct hq_config_row hq_config_rows[] = {
    {.name = "region",
     .kind = HQ_KIND_TEXT,
     .offset = AT(region),
     .min = 2,
     .max = 32,
     .check = hq_check_region,
     .form = "two capital letters, then capitals, digits and -",
     .help = "Region that the data of this cluster belongs to. A repository of another region is "
             "refused before any byte is sent."},
    {.name = "state_directory",
     .kind = HQ_KIND_PATH,
     .offset = AT(state_directory),
     .value = "/var/lib/hq-backup",
     .help = "Directory for the catalog, locks and the spool. It is a cache with a history: what "
             "is lost with it comes back from the repository."},
    {.name = "key_file",
     .kind = HQ_KIND_SECRET_FILE,
     .offset = AT(key_file),
     .help = "File with the sidecar key of the repository, which can make backups but not read "
             "them back."},

    {.name = "log.level",
     .kind = HQ_KIND_WORD,
     .offset = AT(log.level),
     .value = "info",
     .words = log_levels,
     .help = "Least important messages to log."},
    {.name = "log.format",
     .kind = HQ_KIND_WORD,
     .offset = AT(log.format),
     .value = "logfmt",
     .words = log_formats,
     .help = "Form of the lines on standard error."},

    {.name = "repository.url",
     .kind = HQ_KIND_TEXT,
     .offset = AT(repository.url),
     .min = 1,
     .max = 1024,
     .check = hq_check_url,
     .form = "/directory, file:///directory, s3://bucket or s3://bucket/prefix",
     .help = "Where the repository is. Many clusters of one region may share it."},
    {.name = "repository.endpoint",
     .kind = HQ_KIND_TEXT,
     .offset = AT(repository.endpoint),
     .otherwise = "the AWS endpoint of the signing region",
     .min = 1,
     .max = 512,
     .check = hq_check_endpoint,
     .form = "https://host or https://host:port; http:// too",
     .help = "Address of the S3 service."},
    {.name = "repository.signing_region",
     .kind = HQ_KIND_TEXT,
     .offset = AT(repository.signing_region),
     .value = "us-east-1",
     .min = 1,
     .max = 63,
     .check = hq_check_signing_region,
     .form = "letters, digits, - . and _",
     .help = "Region name that S3 requests are signed for, as the store wants it. It does not say "
             "where data may be: that is region."},
    {.name = "repository.style",
     .kind = HQ_KIND_WORD,
     .offset = AT(repository.style),
     .value = "path",
     .words = styles,
     .help = "Whether the bucket is named in the path or in the host name of S3 requests."},
    {.name = "repository.ca_file",
     .kind = HQ_KIND_PATH,
     .offset = AT(repository.ca_file),
     .otherwise = "the certificates of the system",
     .help = "PEM file of the certificate authorities to trust for the endpoint."},
    {.name = "repository.access_key_file",
     .kind = HQ_KIND_SECRET_FILE,
     .offset = AT(repository.access_key_file),
     .otherwise = "the environment",
     .help = "File with the S3 access key. Needs secret_key_file beside it."},
    {.name = "repository.secret_key_file",
     .kind = HQ_KIND_SECRET_FILE,
     .offset = AT(repository.secret_key_file),
     .otherwise = "the environment",
     .help = "File with the S3 secret key. Needs access_key_file beside it."},
    {.name = "repository.connections",
     .kind = HQ_KIND_COUNT,
     .offset = AT(repository.connections),
     .value = "8",
     .min = 1,
     .max = 64,
     .help = "Most connections to the store at once."},
    {.name = "repository.timeout",
     .kind = HQ_KIND_DURATION_S,
     .offset = AT(repository.timeout_s),
     .value = "30s",
     .min = 1,
     .max = 3600,
     .help = "A transfer that makes no progress for so long is repeated."},
    {.name = "repository.retry",
     .kind = HQ_KIND_DURATION_S,
     .offset = AT(repository.retry_s),
     .value = "2min",
     .min = 1,
     .max = 86400,
     .help = "For so long a request is repeated whose failure may pass."},
    {.name = "repository.part_size",
     .kind = HQ_KIND_SIZE,
     .offset = AT(repository.part_bytes),
     .value = "32MiB",
     .min = MIB(5),
     .max = MIB(1024),
     .help = "Objects larger than this are uploaded in parts of this size."},

    {.name = "cluster.name",
     .kind = HQ_KIND_TEXT,
     .offset = AT(cluster.name),
     .min = 1,
     .max = 63,
     .check = hq_check_cluster_name,
     .form = "1 to 63 of a-z 0-9 . _ - and a letter or digit first",
     .help = "Name of the cluster in the repository. It is part of object names: never give it to "
             "another cluster."},
    {.name = "cluster.connection",
     .kind = HQ_KIND_TEXT,
     .offset = AT(cluster.connection),
     .min = 1,
     .max = 2048,
     .check = hq_check_connection,
     .form = "a libpq connection string or URI without a password",
     .help =
         "How to reach the cluster, as a role with the REPLICATION attribute. Several hosts may "
         "be named, as host=db1,db2 target_session_attrs=primary."},
    {.name = "cluster.backup_connection",
     .kind = HQ_KIND_TEXT,
     .offset = AT(cluster.backup_connection),
     .otherwise = "cluster.connection",
     .min = 1,
     .max = 2048,
     .check = hq_check_connection,
     .form = "a libpq connection string or URI without a password",
     .help = "Where base backups are read: a standby of the same cluster spares the primary. With "
             "target_session_attrs=prefer-standby the primary serves while there is none. WAL "
             "always comes from cluster.connection."},
    {.name = "cluster.password_file",
     .kind = HQ_KIND_SECRET_FILE,
     .offset = AT(cluster.password_file),
     .otherwise = "what libpq finds (PGPASSFILE, ~/.pgpass)",
     .help = "File with the password of that role and nothing else."},
    {.name = "cluster.slot",
     .kind = HQ_KIND_TEXT,
     .offset = AT(cluster.slot),
     .otherwise = "hq_backup_ and the name, with _ for . and -",
     .min = 1,
     .max = 63,
     .check = hq_check_slot,
     .form = "1 to 63 of a-z 0-9 _",
     .help = "Physical replication slot that holds WAL until the repository has it."},
    {.name = "cluster.data_directory",
     .kind = HQ_KIND_PATH,
     .offset = AT(cluster.data_directory),
     .otherwise = "none: backups are streamed",
     .help = "The server's data directory, as this host sees it: backups read its files instead of "
             "streaming them through the server. A read-only mount is enough; tablespaces must be "
             "mounted under the paths they have there. Where backups are read from a standby it is "
             "the standby's."},

    {.name = "wal.source",
     .kind = HQ_KIND_WORD,
     .offset = AT(wal.source),
     .value = "stream",
     .words = wal_sources,
     .help =
         "How WAL gets here: streamed by hq-backupd, about a second behind the server, or pushed "
         "by the server's archive_command, a segment at a time."},
    {.name = "wal.flush_interval",
     .kind = HQ_KIND_DURATION_MS,
     .offset = AT(wal.flush_interval_ms),
     .value = "1s",
     .min = 100,
     .max = SECONDS(60),
     .help = "While there is new WAL, it goes to the repository this often: so far back may the "
             "recovery point be."},
    {.name = "wal.durable",
     .kind = HQ_KIND_WORD,
     .offset = AT(wal.durable),
     .value = "store",
     .words = durables,
     .help = "Where WAL must be before PostgreSQL is told that it is safe: in the object store, or "
             "synced in the spool. Until then the slot keeps it, and commits wait that count on "
             "this receiver (synchronous_standby_names)."},
    {.name = "wal.wait_timeout",
     .kind = HQ_KIND_DURATION_MS,
     .offset = AT(wal.wait_timeout_ms),
     .value = "5min",
     .min = SECONDS(1),
     .max = HOURS(24),
     .help = "A backup waits so long for the WAL it needs to be in the repository, then fails."},

    {.name = "spool.path",
     .kind = HQ_KIND_PATH,
     .offset = AT(spool.path),
     .otherwise = "spool in state_directory",
     .help = "Directory for WAL received and not yet in the repository."},
    {.name = "spool.limit",
     .kind = HQ_KIND_SIZE,
     .offset = AT(spool.limit_bytes),
     .value = "8GiB",
     .min = MIB(64),
     .max = MIB(1024 * 1024 * 16),
     .help = "So much WAL is received while the store can't be reached (four segments at least); "
             "what is more stays on the server, held by the slot."},

    {.name = "slot.policy",
     .kind = HQ_KIND_WORD,
     .offset = AT(slot.policy),
     .value = "protect-wal",
     .words = slot_policies,
     .help = "What comes first when WAL piles up on the server: the recovery point, whatever "
             "becomes of the disk, or the disk, at the price of a gap and a new backup."},
    {.name = "slot.warning",
     .kind = HQ_KIND_SIZE,
     .offset = AT(slot.warning_bytes),
     .otherwise = "a quarter of slot.critical",
     .min = MIB(1),
     .max = TIB(1024),
     .help = "So much WAL waiting on the server is worth a warning."},
    {.name = "slot.critical",
     .kind = HQ_KIND_SIZE,
     .offset = AT(slot.critical_bytes),
     .value = "32GiB",
     .min = MIB(1),
     .max = TIB(1024),
     .help = "So much WAL waiting on the server is an error that somebody must look at."},
    {.name = "slot.limit",
     .kind = HQ_KIND_SIZE,
     .offset = AT(slot.limit_bytes),
     .otherwise = "twice slot.critical",
     .min = MIB(1),
     .max = TIB(2048),
     .help = "From so much WAL on, protect-disk lets go of it. protect-wal never does."},
    {.name = "slot.minimum_free",
     .kind = HQ_KIND_SIZE,
     .offset = AT(slot.minimum_free),
     .value = "2GiB",
     .min = MIB(1),
     .max = TIB(1024),
     .help = "Free space that the file system of pg_wal must keep. A warning comes at four times "
             "as much, an error at twice, and below it protect-disk lets go of WAL."},
    {.name = "slot.wal_directory",
     .kind = HQ_KIND_PATH,
     .offset = AT(slot.wal_directory),
     .otherwise = "none: free space is not known",
     .help = "The server's pg_wal, or its data directory, as this host sees it."},
    {.name = "slot.interval",
     .kind = HQ_KIND_DURATION_MS,
     .offset = AT(slot.interval_ms),
     .value = "5s",
     .min = SECONDS(1),
     .max = SECONDS(60),
     .help = "The slot is looked at this often; every second while it is critical."},

    {.name = "backup.schedule",
     .kind = HQ_KIND_TEXT,
     .offset = AT(backup.schedule),
     .value = "0 1 * * *",
     .max = 256,
     .form = "a cron expression of five fields, @daily and the like, or \"\"",
     .help = "When hq-backupd makes a backup by itself, in the local time zone. \"\": never."},
    {.name = "backup.mode",
     .kind = HQ_KIND_WORD,
     .offset = AT(backup.mode),
     .value = "auto",
     .words = modes,
     .help = "How a backup is read: the files of cluster.data_directory, or a stream from the "
             "server. auto takes the files where the directory proves to be the server's and can "
             "be read, and says why if it does not; files fails then."},
    {.name = "backup.checkpoint",
     .kind = HQ_KIND_WORD,
     .offset = AT(backup.checkpoint),
     .value = "fast",
     .words = checkpoints,
     .help = "Whether a backup begins with a checkpoint at once, or with one spread over time to "
             "spare the cluster's disks."},
    {.name = "backup.compression_level",
     .kind = HQ_KIND_COUNT,
     .offset = AT(backup.compression_level),
     .value = "1",
     .min = 1,
     .max = 19,
     .help = "Level of zstd: higher is smaller and slower."},
    {.name = "backup.workers",
     .kind = HQ_KIND_COUNT,
     .offset = AT(backup.workers),
     .otherwise = "the number of usable processors",
     .min = 1,
     .max = 64,
     .help = "Threads that read (files), compress and encrypt."},

    {.name = "metrics.listen",
     .kind = HQ_KIND_TEXT,
     .offset = AT(metrics.listen),
     .otherwise = "none: nothing is served",
     .min = 1,
     .max = 107,
     .check = hq_check_listen,
     .form = "ADDRESS:PORT, or the absolute path of a UNIX socket",
     .help = "Where hq-backupd answers HTTP for monitoring: /metrics, /healthz and /livez. Without "
             "TLS or a password: the loopback address, or behind a network policy."},
};

const size_t hq_config_row_count = sizeof hq_config_rows / sizeof hq_config_rows[0];

_Static_assert(sizeof hq_config_rows / sizeof hq_config_rows[0] <= HQ_CONFIG_ROWS_MAX,
               "HQ_CONFIG_ROWS_MAX bounds what is kept per key");
_Static_assert(sizeof hq_config_sections / sizeof hq_config_sections[0] <= HQ_CONFIG_SECTIONS_MAX,
               "HQ_CONFIG_SECTIONS_MAX bounds what is kept per section");

int
hq_config_row_find(const char *name)
{
    for (size_t i = 0; i < hq_config_row_count; i++) {
        if (strcmp(hq_config_rows[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

const char *
hq_config_row_key(const struct hq_config_row *row)
{
    const char *dot = strchr(row->name, '.');

    return dot != NULL ? dot + 1 : row->name;
}

bool
hq_config_row_in(const struct hq_config_row *row, const char *section)
{
    size_t len = strlen(section);

    if (len == 0)
        return strchr(row->name, '.') == NULL;
    return strncmp(row->name, section, len) == 0 && row->name[len] == '.';
}

int
hq_config_section_find(const char *name)
{
    for (int i = 0; hq_config_sections[i] != NULL; i++) {
        if (strcmp(hq_config_sections[i], name) == 0)
            return i;
    }
    return -1;
}

static void
words_text(const char *const *words, char out[HQ_CONFIG_RANGE_MAX])
{
    size_t used = 0;

    out[0] = '\0';
    for (; *words != NULL && used < HQ_CONFIG_RANGE_MAX; words++)
        used += (size_t)snprintf(out + used, HQ_CONFIG_RANGE_MAX - used, "%s%s",
                                 used > 0 ? ", " : "", *words);
}

void
hq_config_row_range(const struct hq_config_row *row, char out[HQ_CONFIG_RANGE_MAX])
{
    char least[HQ_UNITS_TEXT_MAX], most[HQ_UNITS_TEXT_MAX];

    switch (row->kind) {
    case HQ_KIND_TEXT:
        (void)snprintf(out, HQ_CONFIG_RANGE_MAX, "%s", row->form);
        return;
    case HQ_KIND_PATH:
    case HQ_KIND_SECRET_FILE:
        (void)snprintf(out, HQ_CONFIG_RANGE_MAX, "an absolute path");
        return;
    case HQ_KIND_WORD:
        words_text(row->words, out);
        return;
    case HQ_KIND_COUNT:
        (void)snprintf(least, sizeof least, "%llu", (unsigned long long)row->min);
        (void)snprintf(most, sizeof most, "%llu", (unsigned long long)row->max);
        break;
    case HQ_KIND_DURATION_MS:
        hq_duration_text(row->min, least);
        hq_duration_text(row->max, most);
        break;
    case HQ_KIND_DURATION_S:
        hq_duration_text(SECONDS(row->min), least);
        hq_duration_text(SECONDS(row->max), most);
        break;
    case HQ_KIND_SIZE:
        hq_size_text(row->min, least);
        hq_size_text(row->max, most);
        break;
    }
    (void)snprintf(out, HQ_CONFIG_RANGE_MAX, "%s to %s", least, most);
}
