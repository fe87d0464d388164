"""hq-backup and its peers side by side: see compare.sh beside this directory."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = ["full", "stream", "next", "restore", "delta", "rgw", "size"]
UNITS = {"M": 1e6, "G": 1e9}


def size(text):
    if text[-1:] not in UNITS:
        raise argparse.ArgumentTypeError("such as 300M or 3G")
    return float(text[:-1]) * UNITS[text[-1]]


def cases(text):
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(CASES)}")
    return chosen


def arguments():
    parser = argparse.ArgumentParser(prog="compare.sh", description="hq-backup and its peers side by side: a Markdown "
                                     "table on standard output, progress on standard error.")
    parser.add_argument("--size", type=size, help="of the cluster (3G; with --quick 200M)")
    parser.add_argument("--rounds", type=int, help="rounds, of which the median counts (3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="a small run, to see that everything works")
    parser.add_argument("--cases", type=cases, default=CASES, metavar="CASE,...", help="of " + ", ".join(CASES))
    parser.add_argument("--json-share", type=float, default=0.25, metavar="SHARE",
                        help="of the bytes that are JSON documents (0.25); the rest is pgbench's filler")
    parser.add_argument("--scratch", default="/tmp", metavar="DIR", help="for everything: 8 times the size (/tmp)")
    parser.add_argument("--restore-to", metavar="DIR", help="restore into another file system, such as /dev/shm")
    parser.add_argument("--output", metavar="FILE", help="every single figure as JSON")
    parser.add_argument("--profile", action="store_true", help="no comparison: where our own time goes, by perf")
    parser.add_argument("--show", metavar="FILE", help="only print the tables of an earlier --output")
    parser.add_argument("--programs", default=os.path.join(HERE, "../../../build/release/bin"), metavar="DIR")
    parser.add_argument("--postgres", default="/usr/lib/postgresql/15/bin", metavar="DIR")
    options = parser.parse_args()
    options.size = options.size or (200e6 if options.quick else 3e9)
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def check(options):
    for program in ("hq-backup", "hq-backupd", "hq-restore"):
        if not os.access(os.path.join(options.programs, program), os.X_OK):
            sys.exit(f"{options.programs} has no {program}: cmake --preset release && cmake --build --preset release")
    if not os.access(os.path.join(options.postgres, "initdb"), os.X_OK):
        sys.exit(f"{options.postgres} has no PostgreSQL: sh docs/packages.sh bench")
    free = shutil.disk_usage(options.scratch).free
    if free < 8 * options.size:
        sys.exit(f"{options.scratch} has {free / 1e9:.0f} GB free, the run needs {8 * options.size / 1e9:.0f}")


def versions(options):
    found = {}
    for name, words in {"hq-backup": [os.path.join(options.programs, "hq-backup"), "-V"],
                        "postgres": [os.path.join(options.postgres, "postgres"), "-V"],
                        "pgBackRest": ["pgbackrest", "version"], "restic": ["restic", "version"],
                        "borg": ["borg", "--version"], "zstd": ["zstd", "-V"]}.items():
        try:
            found[name] = subprocess.run(words, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()[0]
        except (OSError, IndexError):
            found[name] = "not installed"
    return found


def main():
    options = arguments()
    sys.path.insert(0, HERE)
    import table
    if options.show:
        with open(options.show) as found:
            return table.markdown(json.load(found))
    check(options)
    from bench import Bench
    from cases import Cases
    from measure import Failed
    from profiles import Profiles
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    bench = Bench(options)
    bench.facts = {"date": table.now(), "rounds": options.rounds, "json share": options.json_share,
                   "versions": versions(options), "pages": 0}
    try:
        if options.profile:
            Profiles(Cases(bench)).run()
            return 0
        Cases(bench).run()
    except Failed as failure:
        sys.exit(str(failure))
    except subprocess.CalledProcessError as failure:
        sys.exit(f"{failure.cmd}: {failure.stdout}")
    finally:
        if not options.profile and bench.figures:
            if options.output:
                bench.save(options.output)
            table.markdown({"facts": bench.facts, "figures": bench.figures, "notes": bench.notes,
                            "loads": bench.loads})
        bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
