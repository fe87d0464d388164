#!/usr/bin/python3
"""store_watch.py: what a store holds of WAL, seen from outside.

    store_watch.py --until SECONDS PLACE   each second a line `time lsn`: WAL listed without a hole
    store_watch.py --times PLACE           `time name` of each file, when it was last changed
    store_watch.py --keys PLACE            the names alone

PLACE is a directory, or s3://bucket/prefix with S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY in the
environment: curl signs the listing, so that no code of ours is trusted twice.
"""
import argparse
import datetime
import os
import re
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree

SEGMENT = 16 * 1024 * 1024
NAME = re.compile(r"[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})(?:\.([0-9a-f]{8})-([0-9a-f]{8}))?$")
S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def list_directory(place):
    for folder, _, names in os.walk(place):
        for name in names:
            try:
                yield os.path.join(folder, name), os.stat(os.path.join(folder, name)).st_ctime
            except FileNotFoundError:
                pass


def list_bucket(place):
    bucket, prefix = place[len("s3://"):].split("/", 1)
    after = ""
    while True:
        query = f"list-type=2&prefix={urllib.parse.quote(prefix, safe='')}"
        if after:
            query += f"&start-after={urllib.parse.quote(after, safe='')}"
            query = "&".join(sorted(query.split("&")))
        answer = subprocess.run(
            ["curl", "-fsS", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
             "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
             os.environ["S3_ACCESS_KEY"] + ":" + os.environ["S3_SECRET_KEY"],
             f"{os.environ['S3_ENDPOINT']}/{bucket}?{query}"], check=True, capture_output=True)
        root = xml.etree.ElementTree.fromstring(answer.stdout)
        for one in root.iter(S3 + "Contents"):
            after = one.find(S3 + "Key").text
            changed = one.find(S3 + "LastModified").text.replace("Z", "+00:00")
            yield after, datetime.datetime.fromisoformat(changed).timestamp()
        if root.findtext(S3 + "IsTruncated") != "true":
            return


def listing(place):
    return list_bucket(place) if place.startswith("s3://") else list_directory(place)


def reach(place):
    """The end of the WAL that the names promise, from the first on, without a hole."""
    pieces = []
    for name, _ in listing(place):
        match = NAME.search(name)
        if match:
            start = (int(match[1], 16) << 32) + int(match[2], 16) * SEGMENT
            first, end = (int(match[3], 16), int(match[4], 16)) if match[3] else (0, SEGMENT)
            pieces.append((start + first, start + end))
    reached = min(pieces)[0] if pieces else 0
    for first, end in sorted(pieces):
        if first <= reached:
            reached = max(reached, end)
    return reached


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--until", type=float)
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--keys", action="store_true")
    parser.add_argument("place")
    options = parser.parse_args()
    if options.until is None:
        for name, changed in listing(options.place):
            print(f"{changed:.6f} {name}" if options.times else name)
        return
    stop = time.time() + options.until
    while time.time() < stop:
        began = time.time()
        print(f"{began:.6f} {reach(options.place)}", flush=True)
        time.sleep(max(0.0, 1.0 - (time.time() - began)))


if __name__ == "__main__":
    main()
