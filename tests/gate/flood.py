"""Send a million tokens of each flood to one gate, and say by how much the process has grown.

python -m tests.gate.flood [COUNT]
"""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

from tests.gate.test_floods import FLOODS, MIB, READ
from tests.gate.world import ThreadedDoor, a_fetched_snapshot, a_gate, a_keyring, a_view, is_granted


def resident() -> int:
    """Return the bytes of this process that are in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def main(count: int) -> None:
    """Send the floods one after the other and write a line on each."""
    door = ThreadedDoor()
    gate = a_gate(a_keyring(door), a_fetched_snapshot())
    assert is_granted(gate.decide(a_view(), READ))
    for name, (make_token, _) in FLOODS.items():
        gc.collect()
        before, fetches, begin = resident(), door.fetches, time.monotonic()
        for number in range(count):
            gate.decide(a_view(make_token(number)), READ)
        seconds = time.monotonic() - begin
        gc.collect()
        grown = (resident() - before) / MIB
        sys.stdout.write(
            f"{name}: {count} tokens in {seconds:.0f} s, {grown:.1f} MiB more, {door.fetches - fetches} fetches\n"
        )
    assert is_granted(gate.decide(a_view(), READ))
    gate.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
