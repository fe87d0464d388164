"""The daemon lives in a network namespace of its own; one link leads to each host it talks to.

Called inside the network namespace of run.sh, which vanishes with everything in it.
"""
import subprocess

PLACES = {"a": 1, "b": 2, "store": 3}


def address(place):
    return "10.99.%d.1" % PLACES[place]


class Network:
    def __init__(self):
        # A namespace lives as long as a process in it: nothing is left in /run/netns.
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.inside = ["nsenter", "--net=/proc/%d/ns/net" % self.holder.pid, "--"]
        self.wait_for_namespace()
        run(self.inside + ["ip", "link", "set", "lo", "up"])
        for place, n in PLACES.items():
            run(["ip", "link", "add", "hq%d" % n, "type", "veth", "peer", "name", "up%d" % n,
                 "netns", str(self.holder.pid)])
            run(["ip", "address", "add", address(place) + "/24", "dev", "hq%d" % n])
            run(self.inside + ["ip", "address", "add", "10.99.%d.2/24" % n, "dev", "up%d" % n])
            run(["ip", "link", "set", "hq%d" % n, "up"])
            run(self.inside + ["ip", "link", "set", "up%d" % n, "up"])

    def wait_for_namespace(self):
        own = subprocess.run(["readlink", "/proc/self/ns/net"], stdout=subprocess.PIPE, check=True)
        for _ in range(200):
            his = subprocess.run(["readlink", "/proc/%d/ns/net" % self.holder.pid],
                                 stdout=subprocess.PIPE, check=True)
            if his.stdout != own.stdout:
                return
            subprocess.run(["sleep", "0.02"], check=True)
        raise RuntimeError("the daemon's network namespace did not appear")

    def cut(self, place):
        """Silence: the far end goes down, so nobody is told and nothing is refused."""
        run(["ip", "link", "set", "hq%d" % PLACES[place], "down"])

    def mend(self, place):
        run(["ip", "link", "set", "hq%d" % PLACES[place], "up"])

    def close(self):
        self.holder.kill()
        self.holder.wait()


def run(command):
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
