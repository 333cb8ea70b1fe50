"""Which worker is killed for its silence, look by look: no clock, no processes."""

from dataclasses import dataclass

from limen.cli.heartbeat import MISSED_BEATS, REPLACEMENT_BEATS, HangDetector


@dataclass
class One:
    """A worker that serves."""

    name: str
    missed_beats: int = 0


def looks(
    serving: list[One], count: int, times: int, heard: str = "", detector: HangDetector | None = None
) -> list[str]:
    """Look so often, each time after those in ``heard`` have beaten; return who was to be killed, and take them away."""
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


def test_who_beats_stays() -> None:
    serving = [One("a"), One("b")]
    assert looks(serving, 2, 10 * MISSED_BEATS, heard="ab") == []


def test_who_is_silent_is_killed_after_so_many_looks_and_nobody_else() -> None:
    serving = [One("a"), One("b")]
    assert looks(serving, 2, MISSED_BEATS - 1, heard="a") == []
    assert looks(serving, 2, 1, heard="a") == ["b"]
    assert looks(serving, 2, 10 * MISSED_BEATS, heard="a") == []


def test_one_beat_in_between_is_enough() -> None:
    serving = [One("a"), One("b")]
    for _ in range(5):
        assert looks(serving, 2, MISSED_BEATS - 2, heard="a") == []
        assert looks(serving, 2, 1, heard="ab") == []


def test_a_supervisor_that_did_not_run_has_looked_once_however_long_it_was() -> None:
    """Machines sleep and supervisors starve: time without looks is nobody's silence, so there is no time to pass in."""
    serving = [One("a"), One("b")]
    assert looks(serving, 2, 1) == []
    assert [worker.missed_beats for worker in serving] == [1, 1]


def test_when_all_are_silent_one_is_killed_and_the_next_when_its_place_is_taken() -> None:
    serving = [One("a"), One("b"), One("c")]
    detector = HangDetector()
    assert looks(serving, 3, MISSED_BEATS + REPLACEMENT_BEATS - 1, detector=detector) == ["a"]
    serving.append(One("d"))  # a start helps
    assert looks(serving, 3, REPLACEMENT_BEATS, heard="d", detector=detector) == ["b"]
    for worker in serving:
        worker.missed_beats = 0  # whatever held them up is over
    serving.append(One("e"))
    assert looks(serving, 3, 10 * MISSED_BEATS, heard="cde", detector=detector) == []


def test_who_hangs_is_killed_also_where_no_other_starts() -> None:
    """One has ended, and its place stays empty: who hangs then serves nobody, whether the others answer or not."""
    serving = [One("a"), One("b")]
    assert looks(serving, 3, MISSED_BEATS, heard="a") == ["b"]
    assert looks([One("a")], 2, MISSED_BEATS) == ["a"]


def test_when_all_are_silent_and_none_starts_they_are_killed_one_by_one() -> None:
    serving = [One("a"), One("b"), One("c")]
    detector = HangDetector()
    assert looks(serving, 3, MISSED_BEATS, detector=detector) == ["a"]
    assert looks(serving, 3, REPLACEMENT_BEATS - 1, detector=detector) == []
    assert looks(serving, 3, 1, detector=detector) == ["b"]
    assert looks(serving, 3, REPLACEMENT_BEATS, detector=detector) == ["c"]


def test_who_answers_is_not_killed_with_those_who_hang() -> None:
    serving = [One("a"), One("b"), One("c"), One("d")]
    assert looks(serving, 4, 10 * REPLACEMENT_BEATS, heard="c") == ["a", "b", "d"]
    assert [worker.name for worker in serving] == ["c"]


def test_with_one_worker_it_is_that_one() -> None:
    assert looks([One("a")], 1, 10 * MISSED_BEATS) == ["a"]
    assert looks([], 1, 10 * MISSED_BEATS) == []
