"""Frames of simulated scans: one after the other, and called after the time at which they are."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quietpet.config.standin import StandinScanSettings
from quietpet.standin.schedule import frame_schedule, in_words
from quietpet.study.reading import read_yaml

BLOCKS = st.lists(
    st.tuples(st.integers(1, 12), st.floats(1.0, 600.0).map(lambda seconds: round(seconds, 2))),
    min_size=1,
    max_size=5,
)


def scan(*blocks, **other):
    return StandinScanSettings(frames=blocks, **other)


def test_equal_frames_are_numbered():
    frames = frame_schedule(StandinScanSettings())
    assert [frame.name for frame in frames] == list(range(113))
    assert [frame.start_s for frame in frames] == [1800 + 16 * number for number in range(113)]
    assert frames[-1].edges_minutes == pytest.approx((59.8667, 60.1333), abs=1e-4)


@given(BLOCKS)
def test_frames_follow_each_other_and_have_names_of_their_own(blocks):
    settings = scan(*blocks, first_frame_minutes=10.0)
    frames = frame_schedule(settings)
    assert [frame.seconds for frame in frames] == [
        seconds for count, seconds in blocks for _ in range(count)
    ]
    assert frames[0].start_s == 600
    for one, following in itertools.pairwise(frames):
        assert following.start_s == pytest.approx(one.start_s + one.seconds)
    assert len({frame.name for frame in frames}) == len(frames) == settings.n_frames


def test_the_study_s_short_frames_are_those_of_equal_frames_at_their_time(repository):
    """The same start, length and noise as the 16 s of 113 equal ones; the whole scan is as long."""
    raw = read_yaml(repository / "config.yaml")["standin"]["scan"]
    settings = StandinScanSettings.model_validate_json(json.dumps(raw))
    frames = frame_schedule(settings)
    equal = {frame.name: frame for frame in frame_schedule(StandinScanSettings())}
    short = [frame for frame in frames if frame.seconds == settings.shortest_frame_s == 16]
    assert short
    assert all(equal[frame.name] == frame for frame in short)
    assert frames[-1].start_s + frames[-1].seconds == equal[112].start_s + 16
    others = {frame.name for frame in frames if frame.seconds > 16}
    assert not others & {frame.name for frame in short}


def test_other_frames_elsewhere_change_no_name():
    one = {f.start_s: f.name for f in frame_schedule(scan((4, 212), (8, 16), (4, 208)))}
    other = {f.start_s: f.name for f in frame_schedule(scan((8, 106), (8, 16), (1, 832)))}
    assert one.keys() & other.keys()
    assert all(one[start] == other[start] for start in one.keys() & other.keys())


def test_words():
    assert in_words(StandinScanSettings()) == "113 frames of 16 s"
    assert in_words(scan((1, 60), (8, 16))) == "1 frame of 60 s and 8 of 16 s"
    assert in_words(scan((4, 212), (8, 16), (4, 7.5))) == "4 frames of 212 s, 8 of 16 s and 4 of 7.5 s"


@pytest.mark.parametrize("frames", [113, [113, 16], [[113]], [], "113 of 16 s", [[8, 16, 2]]])
def test_what_is_no_list_of_blocks_is_told_how_to_write_one(frames):
    with pytest.raises(ValidationError, match=r"such as \[\[113, 16\]\]"):
        StandinScanSettings(frames=frames)


@pytest.mark.parametrize("block", [[0, 16], [1.5, 16], [8, 0], [8, -16]])
def test_counts_and_seconds_have_limits(block):
    with pytest.raises(ValidationError, match="frames"):
        StandinScanSettings(frames=[block])
