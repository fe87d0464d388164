"""Figures as Markdown: a table for each case, and the goals."""
import os
import statistics
import time

TITLES = {
    "full": "Full backup into an empty repository",
    "stream": "Stream mode beside pg_basebackup",
    "next": "Next backup, some pages changed at random",
    "unchanged": "Next backup, nothing changed",
    "restore": "Restore",
    "delta": "Delta restore: from a changed copy back to the last backup",
    "rgw-full": "Full backup to a Ceph RADOS Gateway over TLS",
    "rgw-restore": "Restore from there",
    "size": "The same change in a database of ten times the size",
}
PEER, FLOOR = "pgBackRest", "floor: zstd -1 -T2"
FILES, SCAN, STREAM = "hq-backup, files", "hq-backup, files, LSN scan", "hq-backup, stream"
PEERS = (PEER, "restic", "borg")


def middle(runs, key):
    values = [run[key] for run in runs if run.get(key) is not None]
    return statistics.median(values) if values else None


class Results:
    def __init__(self, found):
        self.figures, self.notes = found["figures"], found["notes"]
        self.facts, self.loads = found["facts"], found["loads"]

    def value(self, case, row, key):
        return middle(self.figures.get(case, {}).get(row, []), key)

    def ratio(self, case, row, other, key, other_case=None):
        ours, theirs = self.value(case, row, key), self.value(other_case or case, other, key)
        return ours / theirs if ours is not None and theirs else None


def processor():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} × {names[0] if names else os.uname().machine}"


def cell(value, form="{:.2f}"):
    return "" if value is None else form.format(value)


def case_table(results, case):
    rows = results.figures.get(case, {})
    notes = results.notes.get(case, {})
    load = results.loads.get(case, [0])
    print(f"\n### {TITLES[case]}\n\nLoad {min(load):.1f} to {max(load):.1f}.\n")
    added = any("added" in run for runs in rows.values() for run in runs)
    floor = case == "full"
    reference = {"stream": "pg_basebackup -Ft, thrown away"}.get(case, PEER)
    head = ["wall s", "CPU s", "peak MiB"] + (["MB added"] if added else [])
    compared = reference in rows
    head += [f"wall × {reference}", f"CPU × {reference}"] if compared else []
    head += ["CPU × floor"] if floor else []
    print("| | " + " | ".join(head) + " |\n|---|" + "---|" * len(head))
    for row in rows:
        cells = [cell(results.value(case, row, "wall")), cell(results.value(case, row, "cpu")),
                 cell(results.value(case, row, "rss"), "{:.0f}") and f"{results.value(case, row, 'rss') / 1024:.0f}"]
        if added:
            value = results.value(case, row, "added")
            cells.append("" if value is None else f"{value / 1e6:.1f}")
        if compared:
            cells += [cell(results.ratio(case, row, reference, key)) for key in ("wall", "cpu")]
        if floor:
            cells.append(cell(results.ratio(case, row, FLOOR, "cpu")))
        print(f"| {row} | " + " | ".join(cells) + " |")
    for row, why in notes.items():
        print(f"| {row} | not measured: {why.replace('|', '/')} |" + " |" * (len(head) - 1))
    for row, way in results.facts.get("ways", {}).get(case, {}).items():
        if way:
            print(f"\n{row}: {way}." if way else "", end="")
    print()


def goals(results):
    """(goal, what was reached, whether that meets it; None where it is not known)."""
    r = results.ratio
    quickest = min((value for value in (results.value("unchanged", peer, "wall") for peer in PEERS) if value),
                   default=None)
    unchanged = results.value("unchanged", FILES, "wall")
    names = list(results.figures.get("size", {}))
    sizes = [name for name in names if name.startswith(FILES)]
    growth = r("size", sizes[1], sizes[0], "cpu") if len(sizes) == 2 else None
    from_store = r("rgw-restore", PEER, FILES, "wall")
    return [
        ("full: CPU, of pgBackRest", 0.75, r("full", FILES, PEER, "cpu")),
        ("full: wall, of pgBackRest", 0.75, r("full", FILES, PEER, "wall")),
        ("full: CPU, of zstd -1 -T2", 1.4, r("full", FILES, FLOOR, "cpu")),
        ("full: repository, of pgBackRest's", 1.0, r("full", FILES, PEER, "added")),
        ("changed, LSN scan: CPU, of pgBackRest", 0.33, r("next", SCAN, PEER, "cpu")),
        ("changed, LSN scan: bytes added, of pgBackRest's", 0.45, r("next", SCAN, PEER, "added")),
        ("changed, WAL summary: CPU, of pgBackRest", 0.15, r("next", FILES, PEER, "cpu")),
        ("unchanged: wall, of the fastest peer", 1.0, unchanged / quickest if unchanged and quickest else None),
        ("restore: CPU, of pgBackRest", 0.8, r("restore", FILES, PEER, "cpu")),
        ("restore: wall, of pgBackRest", 0.8, r("restore", FILES, PEER, "wall")),
        ("delta restore: CPU, of pgBackRest", 0.5, r("delta", FILES, PEER, "cpu")),
        ("restore from RGW: wall, of pgBackRest", 1 / 1.5, 1 / from_store if from_store else None),
        ("stream: wall, of pg_basebackup thrown away", 1.1,
         r("stream", STREAM, "pg_basebackup -Ft, thrown away", "wall")),
        ("ten times the size: CPU grows by", 1.5, growth),
    ]


def markdown(found):
    results = Results(found)
    facts = results.facts
    share = ", ".join(f"{100 * n / facts['pages']:.1f} %" for n in facts.get("changed pages", []))
    print(f"{facts['date']}, {processor()}, cluster of {facts['pages'] * 8192 / 1e9:.2f} GB in {facts['pages']} pages "
          f"({facts['json share']:.0%} JSON), medians of {facts['rounds']} rounds in rotated order."
          + (f" Changed in each round: {share}." if share else ""))
    for case in TITLES:
        if case in results.figures or case in results.notes:
            case_table(results, case)
    print("\n### Goals\n\n| goal | at most | reached | |\n|---|---|---|---|")
    for goal, limit, reached in goals(results):
        verdict = "not measured" if reached is None else "met" if reached <= limit else "**not met**"
        print(f"| {goal} | {limit:.2f} | {cell(reached)} | {verdict} |")


def now():
    return time.strftime("%Y-%m-%d %H:%M %Z")
