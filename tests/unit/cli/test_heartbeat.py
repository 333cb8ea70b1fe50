"""The hang detector, check by check: which worker is killed. No clock, no processes."""

from dataclasses import dataclass

from limen.cli.heartbeat import MISSED_BEATS, REPLACEMENT_BEATS, HangDetector


@dataclass
class Worker:
    """A worker that serves."""

    name: str
    missed_beats: int = 0


def checks(
    serving: list[Worker], count: int, times: int, heard: str = "", detector: HangDetector | None = None
) -> list[str]:
    """Check ``times`` times; workers in ``heard`` beat before each check. Return the killed workers, and remove them."""
    detector = detector or HangDetector()
    killed: list[str] = []
    for _ in range(times):
        for worker in serving:
            if worker.name in heard:
                worker.missed_beats = 0
        found = detector.check(serving, count)
        if found is not None:
            killed.append(found.name)
            serving.remove(found)
    return killed


def test_a_worker_that_beats_is_not_killed() -> None:
    serving = [Worker("a"), Worker("b")]
    assert checks(serving, 2, 10 * MISSED_BEATS, heard="ab") == []


def test_a_silent_worker_is_killed_after_so_many_checks_and_no_other() -> None:
    serving = [Worker("a"), Worker("b")]
    assert checks(serving, 2, MISSED_BEATS - 1, heard="a") == []
    assert checks(serving, 2, 1, heard="a") == ["b"]
    assert checks(serving, 2, 10 * MISSED_BEATS, heard="a") == []


def test_one_beat_in_between_is_enough() -> None:
    serving = [Worker("a"), Worker("b")]
    for _ in range(5):
        assert checks(serving, 2, MISSED_BEATS - 2, heard="a") == []
        assert checks(serving, 2, 1, heard="ab") == []


def test_a_supervisor_that_did_not_run_counts_one_check_however_long_it_was() -> None:
    """Machines sleep and supervisors starve: time without looks is nobody's silence, so there is no time to pass in."""
    serving = [Worker("a"), Worker("b")]
    assert checks(serving, 2, 1) == []
    assert [worker.missed_beats for worker in serving] == [1, 1]


def test_when_all_are_silent_one_is_killed_and_the_next_when_its_place_is_taken() -> None:
    serving = [Worker("a"), Worker("b"), Worker("c")]
    detector = HangDetector()
    assert checks(serving, 3, MISSED_BEATS + REPLACEMENT_BEATS - 1, detector=detector) == ["a"]
    serving.append(Worker("d"))  # a start helps
    assert checks(serving, 3, REPLACEMENT_BEATS, heard="d", detector=detector) == ["b"]
    for worker in serving:
        worker.missed_beats = 0  # whatever held them up is over
    serving.append(Worker("e"))
    assert checks(serving, 3, 10 * MISSED_BEATS, heard="cde", detector=detector) == []


def test_who_hangs_is_killed_also_where_no_other_starts() -> None:
    """Worker has ended, and its place stays empty: who hangs then serves nobody, whether the others answer or not."""
    serving = [Worker("a"), Worker("b")]
    assert checks(serving, 3, MISSED_BEATS, heard="a") == ["b"]
    assert checks([Worker("a")], 2, MISSED_BEATS) == ["a"]


def test_when_all_are_silent_and_none_starts_they_are_killed_one_by_one() -> None:
    serving = [Worker("a"), Worker("b"), Worker("c")]
    detector = HangDetector()
    assert checks(serving, 3, MISSED_BEATS, detector=detector) == ["a"]
    assert checks(serving, 3, REPLACEMENT_BEATS - 1, detector=detector) == []
    assert checks(serving, 3, 1, detector=detector) == ["b"]
    assert checks(serving, 3, REPLACEMENT_BEATS, detector=detector) == ["c"]


def test_who_answers_is_not_killed_with_those_who_hang() -> None:
    serving = [Worker("a"), Worker("b"), Worker("c"), Worker("d")]
    assert checks(serving, 4, 10 * REPLACEMENT_BEATS, heard="c") == ["a", "b", "d"]
    assert [worker.name for worker in serving] == ["c"]


def test_with_one_worker_it_is_that_one() -> None:
    assert checks([Worker("a")], 1, 10 * MISSED_BEATS) == ["a"]
    assert checks([], 1, 10 * MISSED_BEATS) == []
