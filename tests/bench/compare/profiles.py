"""Where our own time goes: perf over each case, its functions in order."""
import os
import shutil
import subprocess

from measure import Failed

TOP = 16


def shares(report):
    """Percent by function; what a library has no names for is the library's."""
    found = {}
    for line in report.splitlines():
        fields = [field.strip() for field in line.split(";")]
        if len(fields) < 3 or not fields[0].endswith("%"):
            continue
        symbol, library = fields[1].split("] ", 1)[-1], fields[2]
        name = library if symbol.startswith("0x") else f"{symbol} ({library.strip('[]')})"
        found[name] = found.get(name, 0) + float(fields[0][:-1])
    return found


class Profiles:
    def __init__(self, cases):
        self.cases, self.bench, self.tool = cases, cases.bench, cases.files

    def allowed(self):
        """Failed with the reason where perf can't be used."""
        if shutil.which("perf") is None:
            raise Failed("perf is not installed: sh docs/packages.sh bench")
        data = os.path.join(self.bench.scratch, "perf.data")
        tried = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-o", data, "--", "true"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if tried.returncode != 0:
            raise Failed("the kernel doesn't let perf record: " + " ".join(tried.stdout.split())[:200])

    def run(self):
        self.allowed()
        bench, tool = self.bench, self.tool
        bench.cluster.create()
        self.cases.fill(self.cases.options.size)
        for one in (self.cases.stream, tool):
            if not bench.fresh("profile", one):
                raise Failed(bench.notes["profile"][one.name])
            self.one(f"full, {one.mode} mode", one.full(), one)
        target = self.cases.target(tool)
        self.one("restore", tool.restore(target), tool)
        shutil.rmtree(target)
        for name, one in (("WAL summary", tool), ("LSN of pages", self.cases.scan)):
            one_pages = round(0.124 * bench.cluster.pages())
            self.cases.change(one_pages)
            tool.summaries = one.summaries
            self.one(f"next backup, {name}", tool.next(), tool)
        self.cases.change(one_pages)
        target = self.cases.target(tool)
        bench.cluster.run("cp", "-a", bench.cluster.data + "/.", target)
        os.unlink(os.path.join(target, "postmaster.pid"))
        self.one("delta restore", tool.delta(target), tool)
        shutil.rmtree(target)

    def one(self, title, words, tool):
        data = os.path.join(self.bench.scratch, "perf.data")
        tool.ready()
        os.sync()
        said = os.path.join(self.bench.scratch, "said")
        with open(said, "wb") as out:
            status = subprocess.call(["perf", "record", "-q", "-F", "997", "-e", "cpu-clock", "-o", data, "--",
                                      *self.bench.become, *words], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        tool.idle()
        if status != 0:
            with open(said, errors="replace") as out:
                print(f"\n### {title}\n\nnot profiled: {out.read().strip()[-300:]}", flush=True)
            return
        report = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "--sort", "symbol,dso", "-t",
                                 ";", "--percent-limit", "0", "-q"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True).stdout
        print(f"\n### {title}\n\n| % of CPU | |\n|---|---|")
        for name, share in sorted(shares(report).items(), key=lambda item: -item[1])[:TOP]:
            print(f"| {share:.1f} | {name} |", flush=True)
