#!/usr/bin/python3
"""report.py --figures FILE --runs N --title TEXT [--json]: medians of repeated measurements, as a table.

FILE has lines `row <tab> column <tab> value`, in the order in which rows and columns are to appear.
A cell shows the median of its values; a column whose name begins with "max" their maximum.
"""
import argparse
import json
import os
import statistics
import time


def read(path):
    cells, rows, columns = {}, [], []
    with open(path) as lines:
        for line in lines:
            row, column, value = line.rstrip("\n").split("\t")
            cells.setdefault((row, column), []).append(float(value))
            if row not in rows:
                rows.append(row)
            if column not in columns:
                columns.append(column)
    return cells, rows, columns


def middle(column, values):
    return max(values) if column.startswith("max") else statistics.median(values)


def shown(values, column):
    value = middle(column, values)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def processor():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {names[0] if names else os.uname().machine}"


parser = argparse.ArgumentParser()
parser.add_argument("--figures", required=True)
parser.add_argument("--runs", required=True, type=int)
parser.add_argument("--title", required=True)
parser.add_argument("--json", action="store_true")
options = parser.parse_args()
cells, rows, columns = read(options.figures)
date = time.strftime("%Y-%m-%d %H:%M %Z")
load = "%.1f" % os.getloadavg()[2]

if options.json:
    table = [
        {"row": row, "figures": {column: {"value": middle(column, cells[row, column]),
                                          "runs": cells[row, column]}
                                 for column in columns if (row, column) in cells}}
        for row in rows]
    print(json.dumps({"title": options.title, "date": date, "machine": processor(),
                      "load_15min": float(load), "runs": options.runs, "table": table}, indent=1))
else:
    print(f"{options.title}\n\n{date}, {processor()}, load {load}; medians of {options.runs} runs.\n")
    print("| | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for row in rows:
        print(f"| {row} | " + " | ".join(
            shown(cells[row, column], column) if (row, column) in cells else ""
            for column in columns) + " |")
