"""A pytest plugin: how much property tests try, ``-p limen_kit.testing.profiles``.

No test says a number of its own, nor a deadline, since none asserts on speed. ``quick`` says the same of the same sources,
for CI and before a commit; ``laptop`` looks for something new each time; ``thorough`` takes its time. It is ``quick`` where
``CI`` is set and ``laptop`` elsewhere, unless ``HYPOTHESIS_PROFILE`` or ``--hypothesis-profile`` choose another.
"""

import os

from hypothesis import HealthCheck, settings

_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("quick", _UNTIMED, derandomize=True, database=None, max_examples=50, stateful_step_count=30)
settings.register_profile("laptop", _UNTIMED, derandomize=False, max_examples=100, stateful_step_count=40)
settings.register_profile("thorough", _UNTIMED, derandomize=False, max_examples=2000, stateful_step_count=60)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("quick" if os.environ.get("CI") else "laptop"))
