"""A vendor on loopback: counts what arrives by its own clock and prints what breaks its exact window.

Arguments: how many it allows, and in how many ms. A line is a request, of which it is told the time of the grant, ns.
"""

import asyncio
import json
import sys
import time
from collections import deque

LIMIT, PERIOD_NS = int(sys.argv[1]), int(sys.argv[2]) * 1_000_000


class Vendor:
    def __init__(self):
        self.arrived = deque(maxlen=LIMIT)
        self.count = self.violations = self.worst_delay = 0

    async def serve(self, reader, writer):
        try:
            while line := await reader.readline():
                now = time.monotonic_ns()
                if not line.endswith(b"\n"):
                    break  # it was killed in the middle
                self.count += 1
                self.violations += len(self.arrived) == LIMIT and now - self.arrived[0] < PERIOD_NS
                self.arrived.append(now)
                self.worst_delay = max(self.worst_delay, now - int(line))
                writer.write(b"ok\n")
        except ConnectionError:
            pass
        finally:
            writer.close()


async def main():
    vendor = Vendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()
    json.dump({"count": vendor.count, "violations": vendor.violations, "worst_delay": vendor.worst_delay}, sys.stdout)


asyncio.run(main())
