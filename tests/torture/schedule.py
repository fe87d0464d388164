"""What happens in a round and when: a function of the seed and of nothing else."""
import random
from dataclasses import dataclass, field


@dataclass
class Event:
    at: float  # seconds since the load began
    name: str
    values: dict = field(default_factory=dict)

    def __str__(self):
        values = " ".join("%s=%s" % item for item in sorted(self.values.items()))
        return ("%6.2f s  %s %s" % (self.at, self.name, values)).rstrip()


@dataclass
class Plan:
    seed: int
    mode: str  # "mixed", or "disk-loss": synchronous commits, and at the end no primary any more
    store: str  # "directory" or "s3"
    durable: str  # level of synchronous commits: "store" or "spool"
    flush_ms: int
    seconds: float
    events: list


# Faults that last: their end is an event too. The other ones are over when they have happened.
LASTING = {
    "daemon-stop": (1.0, 6.0),  # SIGSTOP: longer than wal_sender_timeout now and then
    "network-cut": (0.5, 6.0),
    "spool-full": (1.0, 4.0),
    "store-readonly": (1.0, 5.0),
    "store-full": (1.0, 5.0),
    "store-refuse": (1.0, 5.0),
    "store-silent": (1.0, 5.0),
    "store-slow": (1.0, 4.0),
    "store-slowdown": (1.0, 4.0),
    "store-cut": (1.0, 4.0),
    "store-lost": (1.0, 4.0),
    "store-error": (1.0, 4.0),
}
OF_STORE = {
    "directory": ["store-readonly", "store-full"],
    "s3": ["store-refuse", "store-silent", "store-slow", "store-slowdown", "store-cut",
           "store-lost", "store-error"],
}
OF_DAEMON = ["daemon-kill", "daemon-kill", "daemon-stop", "network-cut", "spool-full"]
OF_PRIMARY = ["primary-kill", "host-crash"]
PROMOTIONS = ["failover", "switchover", "split-brain"]
ALL = sorted(set(LASTING) | set(OF_DAEMON) | set(OF_PRIMARY) | set(PROMOTIONS) | {"drop-slot"})

# Before the next one the former primary must have come back as standby, and a lost slot must have
# led to a backup.
APART = PROMOTIONS + ["drop-slot"]
APART_SECONDS = 8.0
QUIET_BEGIN = 1.5


def values_of(name, rng):
    if name == "daemon-kill":
        return {"down": rng.choice([0.0, 0.0, 1.5])}
    if name not in PROMOTIONS:
        return {}
    values = {"rejoin": rng.choice(["rewind", "rewind", "rebuild"]),
              "rejoin_after": round(rng.uniform(0.2, 2.0), 2),
              "keep_slot": rng.choice([True, False])}
    if name == "split-brain":
        values["backup"] = rng.choice([True, False])
    return values


def choose(rng, candidates, busy, at, apart_at):
    """A fault that may begin at AT: lasting ones of the same kind do not overlap."""
    for _ in range(20):
        name = rng.choice(candidates)
        kind = name.split("-")[0]
        if name in LASTING and busy.get(kind, 0.0) > at:
            continue
        if name in APART and at < apart_at + APART_SECONDS:
            continue
        return name
    return None


def faults(rng, candidates, seconds):
    events, busy, apart_at, at = [], {}, -APART_SECONDS, QUIET_BEGIN
    while True:
        at += rng.uniform(0.4, 3.0)
        if at > seconds - 1.0:
            return events
        name = choose(rng, candidates, busy, at, apart_at)
        if name is None:
            continue
        event = Event(round(at, 2), name, values_of(name, rng))
        events.append(event)
        if name in APART:
            apart_at = at
        if name in LASTING:
            end = min(at + rng.uniform(*LASTING[name]), seconds - 0.1)
            busy[name.split("-")[0]] = end
            events.append(Event(round(end, 2), "end " + name))


def target(rng):
    """What a check restores to; where in the recoverable range is drawn now, the range is not."""
    kind = rng.choice(["time"] * 6 + ["commit-time", "lsn", "xid", "latest", "end-of-range", "end-lsn"])
    return {"target": kind, "fraction": round(rng.random(), 4),
            "exclusive": rng.random() < 0.3}


def make(seed, seconds, only=None, also=(), mode=None, store=None, durable=None):
    rng = random.Random("hq-torture-%d" % seed)
    mode = mode or ("disk-loss" if seed % 3 == 0 else "mixed")
    store = store or ("s3" if seed % 2 == 0 else "directory")
    durable = durable or rng.choice(["store", "spool"])
    flush_ms = 100 if durable == "store" and mode != "mixed" else rng.choice([100, 100, 300, 1000])
    candidates = OF_DAEMON + OF_STORE[store] + OF_PRIMARY
    if mode == "mixed":
        candidates = candidates + PROMOTIONS
    if only is not None:
        candidates = [name for name in candidates if name in only] or sorted(only)
    events = faults(rng, candidates + list(also), seconds)
    if mode == "mixed":
        for _ in range(max(1, round(seconds / 15))):
            at = rng.uniform(seconds * 0.3, seconds * 0.9)
            events.append(Event(round(at, 2), "check", target(rng)))
        events.append(Event(round(rng.uniform(seconds * 0.2, seconds * 0.8), 2), "backup"))
        for _ in range(max(1, round(seconds / 15))):
            events.append(Event(seconds, "final check", target(rng)))
    events.append(Event(seconds, "final check", {"target": "latest", "everything": True}))
    events.sort(key=lambda event: event.at)
    return Plan(seed, mode, store, durable, flush_ms, seconds, events)
