"""``python -m bench.attacks.clients NAME PORT COUNT SEED``: an attack from so many connections, until SIGTERM.

They stand for other machines, so their work waits for that of others on the same CPU, as that of ``bench.logins`` does. It
prints a line when it is about to begin, and at the end one of JSON that says what was done.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from random import Random

from bench.attacks.moves import Move, Peer
from bench.attacks.table import named
from bench.login_clients import step_back

_PAUSE = 0.02  # seconds until one that was refused a connection tries again


async def _one(move: Move, port: int, rng: Random, done: Counter[str]) -> None:
    peer = Peer(port, rng, done)
    try:
        while True:
            before = done["connections"]
            try:
                await move(peer, rng)
            except (OSError, ValueError):  # ValueError: bytes that are no answer
                done["broken"] += 1
            finally:
                peer.close()
            await asyncio.sleep(_PAUSE if done["connections"] == before else 0)
    finally:
        peer.close()


async def attack(name: str, port: int, count: int, seed: int) -> Counter[str]:
    """Attack until SIGTERM; return what was done, and as ``came`` how many connections there were at least once."""
    move = named(name).does()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    each = [Counter[str]() for _ in range(count)]
    print("begins", flush=True)
    step_back()
    tasks = [asyncio.create_task(_one(move, port, Random(f"{seed} {number}"), each[number])) for number in range(count)]
    await asyncio.wait([asyncio.create_task(ended.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
    wrong = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in wrong:
        task.result()  # a fault of the bench: nothing else ends one
    total: Counter[str] = Counter({"came": sum(one["connections"] > 0 for one in each)})
    for one in each:
        total.update(one)
    return total


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("python -m bench.attacks.clients NAME PORT COUNT SEED")
    print(json.dumps(asyncio.run(attack(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))))
