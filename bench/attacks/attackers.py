"""``python -m bench.attacks.attackers NAME PORT COUNT SEED``: an attack from COUNT connections, until SIGTERM.

The attackers stand for other machines, so they run at the lowest priority, like the clients of ``bench.logins``. The program
prints a line before it begins, and at the end one line of JSON with its counts.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from random import Random

from bench.attacks.behaviours import AttackConnection, Behaviour
from bench.attacks.catalogue import attack_named
from bench.login_load import lower_priority

_RETRY_PAUSE = 0.02  # seconds until a connection that was refused is tried again


async def _run_connection(behaviour: Behaviour, port: int, rng: Random, counts: Counter[str]) -> None:
    connection = AttackConnection(port, rng, counts)
    try:
        while True:
            before = counts["connections"]
            try:
                await behaviour(connection, rng)
            except (OSError, ValueError):  # ValueError: an invalid response
                counts["broken"] += 1
            finally:
                connection.close()
            await asyncio.sleep(_RETRY_PAUSE if counts["connections"] == before else 0)
    finally:
        connection.close()


async def attack(name: str, port: int, count: int, seed: int) -> Counter[str]:
    """Attack until SIGTERM; return the counts; ``connected`` is how many attackers have connected at least once."""
    behaviour = attack_named(name).behaviour()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    counts_of_each = [Counter[str]() for _ in range(count)]
    print("begins", flush=True)
    lower_priority()
    tasks = [
        asyncio.create_task(_run_connection(behaviour, port, Random(f"{seed} {number}"), counts_of_each[number]))
        for number in range(count)
    ]
    await asyncio.wait([asyncio.create_task(stop.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        task.result()  # raises: only a bug of the benchmark ends a task
    total: Counter[str] = Counter({"connected": sum(counts["connections"] > 0 for counts in counts_of_each)})
    for counts in counts_of_each:
        total.update(counts)
    return total


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("python -m bench.attacks.attackers NAME PORT COUNT SEED")
    print(json.dumps(asyncio.run(attack(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))))
