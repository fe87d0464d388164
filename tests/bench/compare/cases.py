"""The cases, in the order in which a run goes through them."""
import os
import shutil

from bench import rotated
from measure import Failed
from ours import Ours
from peers import Borg, PgBackRest, Restic

CHANGED = 0.124  # of all pages


class Cases:
    def __init__(self, bench):
        self.bench, self.options = bench, bench.options
        self.files = Ours("hq-backup, files", bench)
        self.scan = Ours("hq-backup, files, LSN scan", bench, summaries=False)
        self.stream = Ours("hq-backup, stream", bench, mode="stream")
        self.peer = PgBackRest("pgBackRest", bench)
        self.tools = [self.files, self.scan, self.stream, self.peer, Restic("restic", bench), Borg("borg", bench)]
        self.whole = []  # tools that have a full backup

    def run(self):
        wanted = self.options.cases
        self.bench.cluster.create()
        if "size" in wanted:
            self.size_small()
        self.fill(self.options.size)
        if set(wanted) & {"full", "stream", "restore", "next", "delta", "size"}:
            self.full()
        if "restore" in wanted:
            self.restore()
        if set(wanted) & {"next", "delta"}:
            self.next()
        if "size" in wanted:
            self.size("size", self.options.size, self.whole[:])
        if "rgw" in wanted:
            self.rgw()

    def fill(self, size):
        bench = self.bench
        bench.say(f"filling a cluster of {size / 1e9:.2f} GB")
        bench.cluster.fill(size, self.options.json_share)
        bench.facts["pages"] = bench.cluster.pages()

    def turns(self, tools):
        for turn in range(self.options.rounds):
            for tool in rotated(tools, turn):
                yield turn, tool

    # ---- full -------------------------------------------------------------------------------------
    def full(self):
        """Each time into an empty repository; the floors and pg_basebackup in the same rounds."""
        tools = [tool for tool in self.tools if tool is not self.scan]
        self.floors_prepare()
        for turn in range(self.options.rounds):
            for tool in rotated(tools, turn):
                if self.bench.fresh("full", tool) and self.bench.take("full", tool.name, tool.full, tool):
                    self.whole += [tool] if tool not in self.whole else []
            self.floors()
        os.unlink(os.path.join(self.bench.scratch, "bytes"))

    def floors_prepare(self):
        """The bytes of all relations in one file, in the page cache."""
        self.bench.cluster.run("sh", "-c", 'find "$1"/base "$1"/global -type f -print0 | xargs -0 cat >"$2"', "sh",
                               self.bench.cluster.data, os.path.join(self.bench.scratch, "bytes"))

    def floors(self):
        bench = self.bench
        path = os.path.join(bench.scratch, "bytes")
        away = ["sh", "-c", 'exec "$@" >/dev/null', "sh"]
        program = os.path.join(self.options.postgres, "pg_basebackup")
        copy = [program, *bench.cluster.connect(), "-X", "none", "-c", "fast"]
        bench.take("full", "floor: cat", [*away, "cat", path])
        bench.take("full", "floor: zstd -1 -T2", [*away, "zstd", "-q", "-1", "-T2", "-c", path])
        bench.take("stream", "pg_basebackup -Ft, thrown away", [*away, *copy, "-Ft", "-D", "-"])
        bench.take("stream", "pg_basebackup, target blackhole", [*copy, "--target=blackhole"])
        for row in bench.figures.get("full", {}).get(self.stream.name, [])[-1:]:
            bench.figures["stream"].setdefault(self.stream.name, []).append(row)

    # ---- restore ----------------------------------------------------------------------------------
    def target(self, tool):
        """An empty directory to restore to, of the user."""
        base = self.options.restore_to or self.bench.scratch
        path = os.path.join(base, f"hq-compare-restored-{os.getpid()}")
        shutil.rmtree(path, ignore_errors=True)
        self.bench.make_directory(path)
        return path

    def restore(self):
        tools = [tool for tool in self.whole if tool is not self.stream]
        for _, tool in self.turns(tools):
            self.bench.restore_to("restore", tool, tool.restore, self.target(tool))

    def delta(self, turn):
        """Back to the last backup, onto a copy of what the server has become since."""
        for tool in rotated([tool for tool in self.whole if tool not in (self.stream, self.scan)], turn):
            if tool.name in self.bench.notes.get("delta", {}):
                continue
            directory = self.target(tool)
            self.bench.cluster.run("cp", "-a", self.bench.cluster.data + "/.", directory)
            os.unlink(os.path.join(directory, "postmaster.pid"))
            self.bench.restore_to("delta", tool, tool.delta, directory)

    # ---- next -------------------------------------------------------------------------------------
    def next(self):
        """A change in each round, of which each tool then makes its next backup; then another without a change."""
        bench = self.bench
        if "next" in self.options.cases and self.files in self.whole:
            if bench.fresh("next", self.scan) and bench.take("full", self.scan.name, self.scan.full, self.scan):
                self.whole.insert(1, self.scan)
            for kept in (bench.figures["full"], bench.facts["ways"]["full"]):
                kept.pop(self.scan.name, None)  # the same as the other in files mode
        for turn in range(self.options.rounds):
            self.change(round(CHANGED * bench.cluster.pages()))
            if "delta" in self.options.cases:
                self.delta(turn)
            if "next" not in self.options.cases:
                continue
            for case in ("next", "unchanged"):
                for tool in rotated(self.whole, turn):
                    bench.take(case, tool.name, tool.next, tool)

    def change(self, pages, fact="changed pages"):
        bench = self.bench
        changed = bench.cluster.change(pages)
        bench.facts.setdefault(fact, []).append(changed)
        bench.say(f"{changed} pages changed, {100 * changed / bench.cluster.pages():.1f} %")

    # ---- ten times the database -------------------------------------------------------------------
    def size_small(self):
        size = self.options.size / 10
        self.fill(size)
        tools = [tool for tool in (self.files, self.peer)
                 if self.bench.fresh("size", tool) and self.bench.take("before", tool.name, tool.full, tool)]
        self.size("size", size, tools)
        for tool in tools:
            tool.discard()
        self.bench.figures.pop("before", None)

    def size(self, case, size, tools):
        """The same number of changed pages in databases of different size."""
        pages = round(CHANGED * self.options.size / 10 / 8192)
        for turn in range(self.options.rounds):
            self.change(pages, "changed pages, size")
            for tool in rotated([tool for tool in tools if tool in (self.files, self.peer)], turn):
                self.bench.take(case, f"{tool.name}, {size / 1e9:.2g} GB", tool.next, tool)

    # ---- object store -----------------------------------------------------------------------------
    def rgw(self):
        names = ("hq-backup, files", "pgBackRest")
        for tool in self.whole:
            tool.discard()
        try:
            store = self.bench.gateway_up()
        except Failed as failure:
            for case in ("rgw-full", "rgw-restore"):
                for name in names:
                    self.bench.note(case, name, failure)
            return
        tools = [Ours(names[0], self.bench, daemon=False, store=store), PgBackRest(names[1], self.bench, store=store)]
        for _, tool in self.turns(tools):
            if self.bench.fresh("rgw-full", tool) and self.bench.take("rgw-full", tool.name, tool.full, tool):
                self.bench.restore_to("rgw-restore", tool, tool.restore, self.target(tool))
            tool.discard()
