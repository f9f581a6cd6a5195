"""Jobs on cores: how long it takes and how much lies on the disk, beside closed forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from quietpet.forecast.schedule import Task, run


def chain(*seconds, **sizes):
    """Tasks each of which needs what the one before makes."""
    return [
        Task(
            seconds=each,
            read=(Path(f"{number - 1}"),) if number else (),
            made=(Path(f"{number}"),),
            **sizes,
        )
        for number, each in enumerate(seconds)
    ]


@pytest.mark.parametrize("cores", [1, 2, 3, 7])
def test_equal_tasks_take_as_many_rounds_as_they_need(cores):
    tasks = [Task(seconds=2.0) for _ in range(12)]
    assert run(tasks, cores=cores).wall_s == pytest.approx(2.0 * -(-12 // cores))


def test_a_chain_takes_its_whole_length_on_any_number_of_cores():
    assert run(chain(1.0, 2.0, 3.0), cores=8).wall_s == pytest.approx(6.0)


def test_no_schedule_beats_the_area_or_the_longest_chain():
    tasks = [*chain(5.0, 5.0), *(Task(seconds=1.0) for _ in range(6))]
    assert run(tasks, cores=2).wall_s == pytest.approx(10.0)
    assert run(tasks, cores=1).wall_s == pytest.approx(16.0)


def test_a_task_of_several_threads_keeps_others_waiting():
    tasks = [Task(seconds=1.0, threads=2), Task(seconds=1.0, threads=2)]
    assert run(tasks, cores=3).wall_s == pytest.approx(2.0)
    assert run(tasks, cores=4).wall_s == pytest.approx(1.0)
    assert run(tasks, cores=1).wall_s == pytest.approx(2.0)  # at most what there is


def test_gpus_are_shared_and_others_go_on_meanwhile():
    on_gpu = [Task(seconds=4.0, gpus=1) for _ in range(2)]
    others = [Task(seconds=1.0) for _ in range(8)]
    assert run([*on_gpu, *others], cores=2, gpus=1).wall_s == pytest.approx(8.0)


def test_what_nothing_waits_for_any_more_goes():
    """Of a chain, two files lie there at a time: what is read and what is made."""
    tasks = chain(1.0, 1.0, 1.0, 1.0, kept=1.0, passing=10.0)
    assert run(tasks, cores=1).most_bytes == pytest.approx(3 * 1.0 + 2 * 10.0)


def test_tasks_that_wait_for_each_other_are_refused():
    one = Task(seconds=1.0, read=(Path("b"),), made=(Path("a"),))
    other = Task(seconds=1.0, read=(Path("a"),), made=(Path("b"),))
    with pytest.raises(ValueError, match="wait for each other"):
        run([one, other], cores=1)
