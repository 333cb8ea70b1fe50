"""How many examples a property test tries: the profile says so, and a test whose examples are dear takes a part of that.

The profiles are in ``limen_kit.testing.profiles``. A number in a test of its own would hold in every profile alike, and make
the small one slow or the large one small.
"""

from hypothesis import settings


def part(of_a_hundred: int) -> int:
    """Return this part of the profile's examples, at least one; for ``max_examples`` where one example is dear.

    ``of_a_hundred`` is how many there are when the profile has 100: 20 are 10 when it has 50, and 400 when it has 2000.
    """
    return max(1, settings().max_examples * of_a_hundred // 100)
