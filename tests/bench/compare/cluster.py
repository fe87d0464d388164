"""The PostgreSQL cluster that everybody backs up: pgbench's tables and one of JSON documents."""
import os
import struct
import subprocess

PAGE = 8192
SCALE_BYTES = 16.4e6  # of pgbench at fillfactor 90, with its index
DOCUMENT_BYTES = 830  # of a row of `observation`, with its share of page, index and fill

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{scratch}'
port = {port}
fsync = off
shared_buffers = 512MB
max_wal_size = 16GB
checkpoint_timeout = 1h
synchronous_commit = off
autovacuum = off
wal_sender_timeout = 0
max_wal_senders = 20
max_replication_slots = 20
log_min_messages = warning
"""

# What differs from one real document to the next is random, the words around it are not: ratio about 3 at zstd 1.
DOCUMENTS = """
CREATE TABLE observation (id bigint PRIMARY KEY, body text) WITH (fillfactor = 85);
INSERT INTO observation
SELECT n, format('{{"resourceType": "Observation", "id": "%s", "status": "final", "category": [{{"coding": [{{"system": '
    '"urn:category", "code": "%s"}}]}}], "code": {{"coding": [{{"system": "urn:loinc", "code": "%s-%s", "display": "%s"}}]}}, '
    '"subject": {{"reference": "Patient/%s"}}, "encounter": {{"reference": "Encounter/%s"}}, "effectiveDateTime": "%s", '
    '"performer": [{{"reference": "Practitioner/%s"}}], "valueQuantity": {{"value": %s, "unit": "%s"}}, "signature": "%s"}}',
    gen_random_uuid(),
    (ARRAY['laboratory', 'vital-signs', 'imaging', 'survey'])[1 + floor(random() * 4)],
    1000 + floor(random() * 9000), floor(random() * 10),
    (ARRAY['Glucose in serum', 'Creatinine', 'Haemoglobin A1c', 'Potassium', 'Body weight', 'Heart rate'])[1 + floor(random() * 6)],
    gen_random_uuid(), gen_random_uuid(), '2026-01-01'::timestamp + random() * interval '300 days',
    gen_random_uuid(), round((random() * 200)::numeric, 2),
    (ARRAY['mmol/L', 'mg/dL', 'kg', '/min'])[1 + floor(random() * 4)],
    encode(sha384(random()::text::bytea), 'base64'))
FROM generate_series(1, {rows}) n;
"""


class Cluster:
    def __init__(self, scratch, programs, become, port=54001):
        self.scratch, self.programs, self.become, self.port = scratch, programs, become, port
        self.data = os.path.join(scratch, "data")
        self.round = 0

    def run(self, *words, **more):
        return subprocess.run(self.become + list(words), check=True, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more).stdout

    def connect(self):
        return ["-h", self.scratch, "-p", str(self.port), "-U", "postgres"]

    def sql(self, *statements):
        words = [os.path.join(self.programs, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]
        for statement in statements:
            words += ["-c", statement]
        return self.run(*words, *self.connect()).strip()

    def control(self, *words):
        subprocess.run(self.become + [os.path.join(self.programs, "pg_ctl"), "-D", self.data, "-w", "-s",
                                      "-l", os.path.join(self.scratch, "server.log"), *words],
                       check=True, stdin=subprocess.DEVNULL)

    def create(self):
        self.run(os.path.join(self.programs, "initdb"), "-D", self.data, "-k", "-A", "trust", "-N", "-U", "postgres")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as conf:
            conf.write(SETTINGS.format(scratch=self.scratch, port=self.port))
        self.control("start")

    def fill(self, size, json_share):
        """Tables of @size bytes altogether, in place of those there are."""
        self.sql("DROP TABLE IF EXISTS observation")
        scale = max(1, round(size * (1 - json_share) / SCALE_BYTES))
        self.run(os.path.join(self.programs, "pgbench"), "-i", "-q", "-F", "90", "-s", str(scale), *self.connect(),
                 "postgres")
        rows = max(1000, round(size * json_share / DOCUMENT_BYTES))
        self.sql("SELECT setseed(0.5)", DOCUMENTS.format(rows=rows), "VACUUM FREEZE observation", "CHECKPOINT")
        self.round = 0

    def pages(self):
        """Pages of all databases' files."""
        return self.walk(lambda path: os.path.getsize(path) // PAGE)

    def walk(self, count):
        total = 0
        for directory, _, files in os.walk(os.path.join(self.data, "base")):
            for name in files:
                if name[0].isdigit():
                    total += count(os.path.join(directory, name))
        return total

    def change(self, pages):
        """Update one row on each of about @pages pages chosen at random; returns how many pages changed."""
        tables = {name: int(self.sql(f"SELECT pg_relation_size('{name}') / {PAGE}"))
                  for name in ("pgbench_accounts", "observation")}
        share = min(1, pages / sum(tables.values()))
        before = self.position()
        self.round += 1
        for name, size in tables.items():
            value = {"pgbench_accounts": "abalance = abalance + 1",
                     "observation": "body = replace(body, 'final', 'final')"}[name]
            self.sql(f"SELECT setseed({self.round / 100})",
                     f"UPDATE {name} SET {value} WHERE ctid = ANY (ARRAY(SELECT ('(' || b || ',{self.round})')::tid "
                     f"FROM generate_series(0, {size - 1}) b WHERE random() < {share}))")
        self.sql("CHECKPOINT")
        return self.walk(lambda path: newer(path, before))

    def position(self):
        high, low = self.sql("SELECT pg_current_wal_insert_lsn()").split("/")
        return int(high, 16) << 32 | int(low, 16)


def newer(path, lsn):
    """Pages of a file whose LSN is @lsn or later."""
    found = 0
    with open(path, "rb") as file:
        while block := file.read(1024 * PAGE):
            for at in range(0, len(block) - PAGE + 1, PAGE):
                high, low = struct.unpack_from("<II", block, at)
                found += (high << 32 | low) >= lsn
    return found
