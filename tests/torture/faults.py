"""One method for each fault of the schedule; lasting ones have an end_ method as well."""
import os
import signal
import subprocess
import threading
import time

import psycopg2

from engine import SLOT
from servers import Trouble


class Faults:
    """`site` is the Round."""

    def __init__(self, site):
        self.site = site
        self.cut = None

    def begin(self, event):
        getattr(self, event.name.replace("-", "_"))(**event.values)

    def end(self, name):
        getattr(self, "end_" + name.replace("-", "_"))()

    # ---- the daemon -----------------------------------------------------------------------------
    def daemon_kill(self, down):
        self.site.engine.kill()
        time.sleep(down)
        self.site.engine.start()

    def daemon_stop(self):
        self.site.engine.signal(signal.SIGSTOP)

    def end_daemon_stop(self):
        self.site.engine.signal(signal.SIGCONT)

    def network_cut(self):
        """Of whichever server was the primary when it began."""
        self.cut = self.site.pair.primary.name
        self.site.net.cut(self.cut)

    def end_network_cut(self):
        self.site.net.mend(self.cut)

    def spool_full(self):
        fill(self.site.disk("spool"))

    def end_spool_full(self):
        os.unlink(os.path.join(self.site.disk("spool"), "filler"))

    # ---- the servers ----------------------------------------------------------------------------
    def primary_kill(self):
        self.site.pair.primary.kill()
        self.site.pair.primary.start()

    def host_crash(self):
        """Daemon and primary share a host, and it stops."""
        self.site.engine.kill()
        self.site.pair.primary.kill()
        self.site.pair.primary.start()
        self.site.engine.start()

    def failover(self, **values):
        old = self.site.pair.primary
        old.kill()
        self.promote(old, values)

    def switchover(self, **values):
        old = self.site.pair.primary
        if not old.shut_down(8):
            self.site.note("%s did not shut down within 8 s and was killed" % old.name)
        self.promote(old, values)

    def split_brain(self, backup, **values):
        """The former primary goes on for a while, with its clients, and a backup of it ends."""
        old = self.site.pair.primary
        self.site.load.sticky = True
        running = threading.Thread(target=self.site.engine.backup if backup else time.sleep,
                                   args=() if backup else (0.7,), daemon=True)
        running.start()
        self.promote(old, values, lambda: running.join(8))

    def promote(self, old, values, outlive=lambda: None):
        timeline = self.site.pair.promote_standby()
        self.site.note("%s is the primary, timeline %d" % (self.site.pair.primary.name, timeline))
        outlive()
        old.kill()
        self.site.load.sticky = False
        time.sleep(values["rejoin_after"])
        how = self.site.pair.rejoin(old, values["rejoin"], values["keep_slot"])
        self.site.note("%s is its standby, %s" % (old.name, how))

    def drop_slot(self):
        """What a DBA does who sees a disk fill. The gap is to be found and told."""
        server = self.site.pair.primary
        for _ in range(50):
            try:
                server.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                           "WHERE slot_name = %s AND active", (SLOT,))
                server.sql("SELECT pg_drop_replication_slot(%s)", (SLOT,))
                break
            except psycopg2.Error:
                time.sleep(0.02)
        else:
            raise Trouble("the slot can't be dropped")
        self.site.slots_dropped += 1
        # WAL goes as well: without that a slot made anew loses nothing.
        server.sql("ALTER SYSTEM SET wal_keep_size = 0")
        server.sql("SELECT pg_reload_conf()")
        self.site.engine.signal(signal.SIGSTOP)
        for _ in range(4):
            server.sql("SELECT pg_switch_wal()")
            server.sql("CHECKPOINT")
            time.sleep(0.1)
        self.site.engine.signal(signal.SIGCONT)
        server.sql("ALTER SYSTEM RESET wal_keep_size")
        server.sql("SELECT pg_reload_conf()")

    # ---- the store ------------------------------------------------------------------------------
    def store_readonly(self):
        remount(self.site.disk("store"), "ro")

    def end_store_readonly(self):
        remount(self.site.disk("store"), "rw")

    def store_full(self):
        fill(self.site.disk("store"))

    def end_store_full(self):
        os.unlink(os.path.join(self.site.disk("store"), "filler"))

    def store_refuse(self):
        self.site.proxy.refuse()

    def end_store_refuse(self):
        self.site.proxy.listen()

    def store_silent(self):
        self.site.net.cut("store")

    def end_store_silent(self):
        self.site.net.mend("store")

    def store_slow(self):
        self.site.proxy.set("slow")

    def store_slowdown(self):
        self.site.proxy.set("slowdown")

    def store_cut(self):
        self.site.proxy.set("cut")

    def store_lost(self):
        self.site.proxy.set("lost")

    def store_error(self):
        self.site.proxy.set("error")

    def end_store_slow(self):
        self.site.proxy.set("pass")

    end_store_slowdown = end_store_cut = end_store_lost = end_store_error = end_store_slow


def fill(directory):
    """Until there is no byte left."""
    with open(os.path.join(directory, "filler"), "wb", buffering=0) as file:
        size = 1 << 20
        while size >= 1:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2


def remount(directory, how):
    """Read-only is refused while a file is open for writing, which is never for long."""
    for _ in range(100):
        done = subprocess.run(["mount", "-o", "remount," + how, directory], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return
        time.sleep(0.02)
    raise Trouble("%s can't be made %s" % (directory, how))
