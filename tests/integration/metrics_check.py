#!/usr/bin/python3
"""Check Prometheus text (format 0.0.4) from standard input, strictly; print the samples asked for.

    metrics_check.py [NAME or NAME{LABELS}]...

Each metric must have HELP and TYPE once, before its samples, which stand together; names begin with
hqbackup_ and end in a base unit where they are of one; counters, and nothing else, end in _total.
"""

import re
import sys

NAME = r"hqbackup_[a-z][a-z0-9_]*"
SAMPLE = re.compile(rf"({NAME})\{{((?:[a-z_]+=\"(?:[^\"\\\n]|\\[\\n\"])*\",?)+)\}} (\d+(?:\.\d+)?)")
WRONG_UNITS = ("_ms", "_us", "_milliseconds", "_microseconds", "_kb", "_mb", "_minutes", "_hours")


def parse(text: str) -> dict[str, str]:
    """The samples by name and labels; ValueError for anything out of form."""
    kinds: dict[str, str] = {}
    samples: dict[str, str] = {}
    helped, last = set(), ""
    if not text.endswith("\n"):
        raise ValueError("no newline at the end")
    for line in text.splitlines():
        if match := re.fullmatch(rf"# HELP ({NAME}) (\S.*\.)", line):
            if match[1] in helped:
                raise ValueError(f"HELP twice: {line}")
            helped.add(match[1])
        elif match := re.fullmatch(rf"# TYPE ({NAME}) (gauge|counter)", line):
            if match[1] in kinds or match[1] not in helped:
                raise ValueError(f"TYPE out of place: {line}")
            kinds[match[1]] = match[2]
            last = match[1]
        elif match := SAMPLE.fullmatch(line):
            if match[1] != last:
                raise ValueError(f"sample out of place: {line}")
            key = f"{match[1]}{{{match[2]}}}"
            if key in samples or 'cluster="' not in match[2]:
                raise ValueError(f"twice, or of no cluster: {line}")
            samples[key] = match[3]
        else:
            raise ValueError(f"out of form: {line!r}")
    for name, kind in kinds.items():
        if (kind == "counter") != name.endswith("_total"):
            raise ValueError(f"{name} is a {kind}")
        if name.endswith(WRONG_UNITS):
            raise ValueError(f"{name} is of no base unit")
        if not any(key.startswith(name + "{") for key in samples):
            raise ValueError(f"{name} has no sample")
    return samples


def main() -> int:
    """The program."""
    try:
        samples = parse(sys.stdin.read())
    except ValueError as error:
        print(error)
        return 1
    for wanted in sys.argv[1:]:
        name, _, labels = wanted.partition("{")
        found = [value for key, value in samples.items() if key.startswith("hqbackup_" + name + "{")
                 and labels.rstrip("}") in key]
        print(" ".join(found) or "none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
