"""A stand-in data set as files: whole, valid, readable, and nothing left of an interrupted one."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from heads import BALL_MM, cylinder, head_with_ball
from importing import import_job, imported

from quietpet.config.invivo import WindowSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.scan_sources import SourceSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.standin import StandinCohortSettings, StandinParticipant, StandinScanSettings
from quietpet.errors import InputError
from quietpet.files import nifti
from quietpet.files.named import Files
from quietpet.invivo.audit import audit
from quietpet.invivo.bids import read_tree
from quietpet.jobs.invivo import FetchInvivoJob
from quietpet.jobs.standin import StandinCohortJob, StandinJob
from quietpet.phantom.tissues import LabelVolume, Tissue
from quietpet.stages import fetch_invivo, standin, standin_cohort
from quietpet.standin.kinetics import frame_weights
from quietpet.standin.layout import participant_files, runs_of
from quietpet.standin.sidecars import DAY_S
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of

SCAN = StandinScanSettings(
    frames=((5, 16),),
    t1_voxel_mm=3.0,
    t1_shape=(60, 80, 70),
    subsets=7,
    axial_step=1,
    sensitivity_cps_per_kbq=400.0,
)
DOSES = {
    "01": ("infusion", 225.04),
    "02": ("infusion", 167.6),
    "03": ("bolus", 240.0),
    "04": ("bolus_infusion", 241.5),
}
PHANTOMS = PhantomSettings()


@pytest.fixture(autouse=True)
def simple_head(monkeypatch):
    monkeypatch.setattr(standin, "label_volume", lambda *_, **__: head_with_ball())


def cohort(layout, *, defects=False):
    return StandinCohortSettings(
        layout=layout,
        defects=defects,
        infusion_minutes=55,
        participants={
            name: StandinParticipant(anatomy="04", administration=administration, injected_mbq=dose)
            for name, (administration, dose) in DOSES.items()
        },
    )


def job(settings, participant, scan=SCAN, **changes):
    values = {
        "study_seed": 1,
        "cohort": "monash",
        "participant": participant,
        "layout": settings.layout,
        "defects": settings.defects,
        "infusion_minutes": settings.infusion_minutes,
        "participants": settings.participants,
        "scan": scan,
        "scanner": ScannerSettings(model="small_test", image_pixels=64),
        "mu_per_cm": PHANTOMS.mu_per_cm,
        "t1": PHANTOMS.t1,
        "template": PHANTOMS.template,
    }
    return StandinJob(**(values | changes))


def outputs(root, layout, participant, scan=SCAN):
    names = participant_files(layout, participant, runs=len(runs_of(scan)))
    return Files(
        {
            "pet": [root / path for path in names.pet],
            "pet_json": [root / path for path in names.pet_sidecars],
            "t1": [root / names.t1],
            "t1_json": [root / names.t1_sidecar],
            "truth": [root.parent / f"truth_{root.name}" / f"sub-{participant}.json"],
        }
    )


def write(root, settings, participants=tuple(DOSES), scan=SCAN):
    standin_cohort.run(
        StandinCohortJob(cohort="monash", settings=settings, scan=scan),
        Files({}),
        Files(
            {
                "description": [root / "dataset_description.json"],
                "readme": [root / "README"],
                "participants": [root / "participants.tsv"],
                "participants_json": [root / "participants.json"],
                "ignored": [root / ".bidsignore"],
            }
        ),
    )
    written = {}
    for participant in participants:
        written[participant] = outputs(root, settings.layout, participant, scan)
        standin.run(job(settings, participant, scan), Files({}), written[participant])
    return written


def read(path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Both layouts, all four participants: root and output files by layout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "label_volume", lambda *_, **__: head_with_ball())
        folder = tmp_path_factory.mktemp("clean")
        return {
            layout: (folder / layout, write(folder / layout, cohort(layout)))
            for layout in ("ds002898", "ds003397")
        }


@pytest.fixture(scope="module")
def defective(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "label_volume", lambda *_, **__: head_with_ball())
        folder, scan = (
            tmp_path_factory.mktemp("defective"),
            {
                "ds002898": SCAN.model_copy(update={"first_frame_minutes": 0.0}),
                "ds003397": SCAN.model_copy(update={"frames_per_run": 3}),
            },
        )
        return {
            layout: (
                folder / layout,
                write(folder / layout, cohort(layout, defects=True), scan=scan[layout]),
            )
            for layout in scan
        }


def test_file_names_are_those_of_the_real_data_sets(clean):
    for layout, expected in (
        ("ds002898", {"pet/sub-02_task-rest_pet", "anat/sub-02_T1w"}),
        ("ds003397", {"pet/sub-02_task-checkerboard_run-1_pet", "anat/sub-02_run-1_T1w"}),
    ):
        root, _ = clean[layout]
        found = {str(path.relative_to(root / "sub-02")) for path in (root / "sub-02").rglob("*.*")}
        assert found == {f"{stem}.{suffix}" for stem in expected for suffix in ("nii.gz", "json")}
        top = {path.name for path in root.iterdir() if path.is_file()}
        assert top == {
            *("dataset_description.json", "README", "participants.tsv", "participants.json"),
            ".bidsignore",
        }
        # Truth is no part of the tree.
        assert (root.parent / f"truth_{layout}" / "sub-02.json").is_file()


def test_everything_says_that_it_is_a_stand_in(clean):
    for layout, (root, written) in clean.items():
        assert "stand-in" in read(root / "dataset_description.json")["Name"]
        assert "SIMULATED" in (root / "README").read_text()
        for files in written.values():
            for sidecar in (files.one("pet_json"), files.one("t1_json")):
                assert read(sidecar)["SimulatedData"] == "standin-template"
            for image in (files.one("pet"), files.one("t1")):
                assert b"standin" in nib.load(image).header["descrip"].item()
            assert read(files.one("truth"))["data_source"] == "standin-template"
        assert layout in (root / "README").read_text()


@pytest.mark.parametrize("kind", ["standin", "folder"])
def test_located_scans_are_of_simulated_heads_whatever_the_source_is_called(clean, tmp_path, kind):
    """As a folder of the user's too: the word of the tables comes from the side-car."""
    root, _ = clean["ds002898"]
    place = {"cohort": "monash"} if kind == "standin" else {"root": str(root)}
    job = FetchInvivoJob(
        name="patients", source=SourceSettings(kind=kind, **place), participant="02", root=str(root)
    )
    located = tmp_path / "located.json"
    fetch_invivo.run(job, Files({}), Files({"located": [located]}))
    assert read(located)["data_source"] == "standin-template"


def test_a_brainweb_head_is_named(tmp_path):
    settings = cohort("ds002898")
    files = outputs(tmp_path / "bids", "ds002898", "01")
    labels = tmp_path / "subject_04.bin.gz"
    labels.write_bytes(b"stands for a volume")
    standin.run(job(settings, "01"), Files({"labels": [labels]}), files)
    assert read(files.one("pet_json"))["SimulatedData"] == "standin-brainweb"
    assert read(files.one("t1_json"))["SimulatedData"] == "standin-brainweb"
    truth = read(files.one("truth"))
    assert (truth["data_source"], truth["anatomy_source"]) == ("standin-brainweb", "brainweb")


@pytest.mark.parametrize("layout", ["ds002898", "ds003397", "unequal frames"])
def test_the_bids_validator_accepts_the_clean_one(clean, unequal, layout):
    validator = shutil.which("bids-validator-deno")
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    root, _ = clean.get(layout, unequal)
    done = subprocess.run(
        [validator, "--format", "json", str(root)], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [(issue["code"], issue.get("location")) for issue in issues if issue["severity"] == "error"]
    assert errors == []
    assert done.returncode == 0


@pytest.mark.parametrize("layout", ["ds002898", "ds003397", "unequal frames"])
def test_the_audit_finds_nothing_in_the_clean_one(clean, unequal, layout):
    root, _ = clean.get(layout, unequal)
    assert audit(read_tree(root)) == []


def test_series_are_4d_in_bq_per_ml(clean):
    _, written = clean["ds002898"]
    image = nib.load(written["01"].one("pet"))
    assert image.shape == (64, 64, 15, 5)
    assert image.get_data_dtype() == np.int16
    assert image.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(image.header.get_zooms(), (4.5, 4.5, 4.0, 16.0))
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
    assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
    truth = read(written["01"].one("truth"))
    values = image.get_fdata()
    assert np.isfinite(values).all()
    # The scalp fills most of the head: its activity in Bq/ml, not in kBq/ml.
    expected = 1000 * np.mean(truth["mean_kbq_per_ml"]["other"])
    head = values.mean(axis=3)
    assert head[28:36, 28:36, 5:10].mean() == pytest.approx(expected, rel=0.15)


def test_landmarks_of_both_images_meet_through_the_truth(clean):
    """The ball, found in each file by its header alone."""
    for layout in ("ds002898", "ds003397"):
        for participant in ("01", "03"):
            files = clean[layout][1][participant]
            truth = np.array(read(files.one("truth"))["t1_to_pet_ras_mm"])
            t1, pet = nib.load(files.one("t1")), nib.load(files.one("pet"))
            bright = np.clip(t1.get_fdata() - 4 * 123, 0, None)  # between scalp and white matter
            in_t1 = t1.affine @ [*(np.average(i, weights=bright) for i in np.indices(t1.shape)), 1]
            np.testing.assert_allclose((truth @ in_t1)[:3], BALL_MM, atol=1.0)
            mean = pet.get_fdata().mean(axis=3)
            hot = np.clip(mean - 0.6 * mean.max(), 0, None)
            in_pet = pet.affine @ [*(np.average(i, weights=hot) for i in np.indices(mean.shape)), 1]
            np.testing.assert_allclose(in_pet[:3], BALL_MM, atol=2.5)


def test_sidecars_agree_with_the_images(clean):
    for _, written in clean.values():
        for participant, files in written.items():
            sidecar, image = read(files.one("pet_json")), nib.load(files.one("pet"))
            assert len(sidecar["FrameTimesStart"]) == len(sidecar["FrameDuration"]) == image.shape[3]
            assert sidecar["FrameTimesStart"][:2] == [1800, 1816]
            administration, dose = DOSES[participant]
            assert sidecar["ModeOfAdministration"].replace("-", "_") == administration
            assert sidecar["InjectedRadioactivity"] == dose
            assert sidecar["RadionuclideTotalDose"] == pytest.approx(dose * 1e6, abs=5e4)
            assert sidecar["ReconMethodParameterValues"] == [7, 3]
            assert sidecar["ReconFilterSize"] == StandinScanSettings().post_fwhm_mm
            assert sidecar["ImageVoxelSize"] == [4.5, 4.5, 4.0]
            assert ("InfusionSpeed" in sidecar) == (administration != "bolus")
            truth = read(files.one("truth"))
            rates = [16 * rate for rate in sidecar["PromptRate"]]
            np.testing.assert_allclose(rates, truth["prompts"], atol=1)
    rows = (clean["ds003397"][0] / "participants.tsv").read_text().splitlines()
    assert rows == [
        "participant_id	group	anatomy",
        "sub-01	I	04",
        "sub-02	I	04",
        "sub-03	B	04",
        "sub-04	BI	04",
    ]


def test_decay_correction_factors_are_those_of_dicom(clean):
    """exp(lambda t) lambda d / (1 - exp(-lambda d)), with t after the injection (PS3.3, C.8.9.4)."""
    sidecar = read(clean["ds002898"][1]["01"].one("pet_json"))
    rate = np.log(2) / sidecar["RadionuclideHalfLife"]
    expected = [
        np.exp(rate * start) * rate * 16 / (1 - np.exp(-rate * 16))
        for start in sidecar["FrameTimesStart"]
    ]
    np.testing.assert_allclose(sidecar["DecayCorrectionFactor"], expected, rtol=1e-5)


def test_the_same_job_writes_the_same_bytes(clean, tmp_path):
    again = outputs(tmp_path / "ds002898", "ds002898", "02")
    # Alone: what else is in the cohort changes nothing.
    settings = cohort("ds002898")
    only = {"02": settings.participants["02"]}
    standin.run(job(settings, "02", participants=only), Files({}), again)
    first = clean["ds002898"][1]["02"]
    for name in ("pet", "t1", "pet_json", "t1_json"):
        assert again.one(name).read_bytes() == first.one(name).read_bytes()


def test_the_misclassified_lowest_plane_of_brainweb_is_not_scanned(tmp_path, monkeypatch):
    """A cylinder that ends in vessels, as subject 53 does, gives the images of one that does not."""
    sound, scan = cylinder(), SCAN.model_copy(update={"frames": ((1, 16),)})
    blood = np.where(sound.codes > 0, Tissue.VESSELS, 0).astype(np.uint8)
    ending_in_blood = LabelVolume(
        codes=np.concatenate([blood[:1], sound.codes[1:]]), voxel_mm=sound.voxel_mm
    )
    inputs = {name: [tmp_path / name] for name in ("labels", "sources")}
    for (path,) in inputs.values():
        path.touch()
    written = []
    for name, head in (("sound", sound), ("damaged", ending_in_blood)):
        monkeypatch.setattr(standin, "label_volume", lambda *_, head=head, **__: head)
        written.append(outputs(tmp_path / name, "ds002898", "01", scan))
        standin.run(job(cohort("ds002898"), "01", scan), Files(inputs), written[-1])
    for image in ("pet", "t1"):
        first, second = (each.one(image).read_bytes() for each in written)
        assert first == second


def test_participants_differ_in_motion_kinetics_and_noise(clean):
    _, written = clean["ds002898"]
    one, two = (read(written[name].one("truth")) for name in ("01", "02"))
    assert one["t1_to_pet_ras_mm"] != two["t1_to_pet_ras_mm"]
    assert one["kinetics"]["grey_matter"]["k1"] != two["kinetics"]["grey_matter"]["k1"]
    assert one["prompts"] != two["prompts"]


def test_runs_hold_their_frames(tmp_path, clean):
    settings, scan = cohort("ds003397"), SCAN.model_copy(update={"frames_per_run": 3})
    written = outputs(tmp_path / "d", "ds003397", "01", scan)
    standin.run(job(settings, "01", scan), Files({}), written)
    assert [path.name for path in written.many("pet")] == [
        "sub-01_task-checkerboard_run-1_pet.nii.gz",
        "sub-01_task-checkerboard_run-2_pet.nii.gz",
    ]
    joined = np.concatenate([nib.load(path).get_fdata() for path in written.many("pet")], axis=3)
    whole = nib.load(clean["ds003397"][1]["01"].one("pet")).get_fdata()
    np.testing.assert_array_equal(joined, whole)
    starts = [read(path)["FrameTimesStart"] for path in written.many("pet_json")]
    assert starts == [[1800, 1816, 1832], [1848, 1864]]


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """Frames of 32, 16, 16 and 24 s, which begin where those of 16 s do: root and files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "label_volume", lambda *_, **__: head_with_ball())
        root = tmp_path_factory.mktemp("unequal") / "bids"
        scan = SCAN.model_copy(update={"frames": ((1, 32.0), (2, 16.0), (1, 24.0))})
        return root, write(root, cohort("ds002898"), scan=scan)["02"]


def test_unequal_frames_are_listed_one_by_one(unequal):
    root, files = unequal
    sidecar, truth = read(files.one("pet_json")), read(files.one("truth"))
    assert sidecar["FrameTimesStart"] == [1800, 1832, 1848, 1864]
    assert sidecar["FrameDuration"] == [32, 16, 16, 24]
    counted = np.multiply(sidecar["PromptRate"], sidecar["FrameDuration"])
    np.testing.assert_allclose(counted, truth["prompts"], atol=2)
    rate = np.log(2) / sidecar["RadionuclideHalfLife"]
    starts, durations = (np.array(sidecar[key]) for key in ("FrameTimesStart", "FrameDuration"))
    expected = np.exp(rate * starts) * rate * durations / (1 - np.exp(-rate * durations))
    np.testing.assert_allclose(sidecar["DecayCorrectionFactor"], expected, rtol=1e-5)
    assert nib.load(files.one("pet")).header.get_zooms()[3] == 22  # NIfTI has one number: the mean
    readme = (root / "README").read_text()
    assert "1 frame of 32 s, 2 of 16 s and 1 of 24 s from minute 30 on" in readme


def test_short_frames_are_the_same_whatever_is_around_them(unequal, clean):
    """Events are the same; images too, but for OSEM's rounding and the step in which they are stored."""
    _, files = unequal
    equal = clean["ds002898"][1]["02"]
    counts = [read(each.one("truth"))["prompts"] for each in (files, equal)]
    assert counts[0][1:3] == counts[1][2:4]
    image, other = (nib.load(each.one("pet")) for each in (files, equal))
    found, expected = image.get_fdata()[..., 1:3], other.get_fdata()[..., 2:4]
    step = (image.dataobj.slope + other.dataobj.slope) / 2
    assert np.abs(found - expected).max() <= 1.01 * step + 1e-3 * expected.max()
    # 24 s in place of the last 16 s: 1.5 times the prompts, the same activity, noise of its own.
    assert counts[0][3] / counts[1][4] == pytest.approx(1.5, rel=0.02)
    long, short = image.get_fdata()[..., 3], other.get_fdata()[..., 4]
    assert long.mean() == pytest.approx(short.mean(), rel=0.05)
    assert np.abs(long - short).max() > 10 * step


def test_windows_of_unequal_frames_show_the_activity_of_their_time(unequal, tmp_path):
    """Imported: the mean of the decaying activity in 88 s, and 16 s of it, as the kinetics have it."""
    root, files = unequal
    windows = {
        "standard": WindowSettings(minutes=88 / 60, start_minutes=30),
        "16s": WindowSettings(frames=1, start_minutes=30.5),
    }
    results = imported(root, tmp_path, job=import_job("02", windows=windows))
    scan, truth = read(results / "scan.json"), read(files.one("truth"))
    assert (scan["windows"]["standard"]["frames"], scan["windows"]["16s"]["frames"]) == ([0, 3], [1, 1])
    assert [scan["windows"][name]["start_s"] for name in windows] == [1800, 1832]
    assert [scan["windows"][name]["seconds"] for name in windows] == [88, 16]
    # The scalp fills most of the head; decays in frames add up to those of the window.
    other, edges = truth["mean_kbq_per_ml"]["other"], truth["frame_edges_minutes"]
    weights = frame_weights(edges, half_life_minutes=SCAN.half_life_minutes)
    for name, frames in (("standard", slice(0, 4)), ("16s", slice(1, 2))):
        image = nib.load(results / f"{name}.nii.gz").get_fdata()
        expected = 1000 * np.average(other[frames], weights=weights[frames])
        assert image[28:36, 28:36, 5:10].mean() == pytest.approx(expected, rel=0.15)


def test_an_interrupted_job_leaves_nothing(tmp_path, monkeypatch):
    drawn = []

    def interrupted(*arguments, **named):
        for each in measured(*arguments, **named):
            drawn.append(each)
            if len(drawn) == 3:
                raise KeyboardInterrupt
            yield each

    measured = standin.measured_frames
    monkeypatch.setattr(standin, "measured_frames", interrupted)
    with pytest.raises(KeyboardInterrupt):
        standin.run(job(cohort("ds002898"), "01"), Files({}), outputs(tmp_path / "d", "ds002898", "01"))
    assert len(drawn) == 3
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_too_few_files_for_the_runs_are_refused(tmp_path):
    with pytest.raises(InputError, match="5 frames make 2 runs"):
        standin.run(
            job(cohort("ds003397"), "01", SCAN.model_copy(update={"frames_per_run": 3})),
            Files({}),
            outputs(tmp_path / "d", "ds003397", "01"),
        )


def test_defects_doses_are_exchanged_and_the_header_s_are_not(defective):
    _, written = defective["ds002898"]
    sidecars = {name: read(files.one("pet_json")) for name, files in written.items()}
    noted = {name: each["InjectedRadioactivity"] for name, each in sidecars.items()}
    assert noted == {"01": "167.600", "02": "240.000", "03": "241.500", "04": "225.040"}
    for name, each in sidecars.items():
        assert each["RadionuclideTotalDose"] == round(DOSES[name][1], 1) * 1e6
        assert "Units" not in each
        assert each["Unit"] == "Bq/ml"
    # Every scan's clock is the TimeZero of one other side-car, to the second or one later.
    clocks = {name: seconds(each["AcquisitionTime"]) for name, each in sidecars.items()}
    zeros = {name: seconds(each["TimeZero"]) for name, each in sidecars.items()}
    owners = {
        name: [other for other, zero in zeros.items() if 0 <= zero - clock <= 1]
        for name, clock in clocks.items()
    }
    assert owners == {"01": ["04"], "02": ["01"], "03": ["02"], "04": ["03"]}


def seconds(text):
    hours, minutes, rest = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def test_defects_frame_times_wrap_at_midnight_and_the_last_has_clock_times(defective):
    _, written = defective["ds002898"]
    starts = {name: read(files.one("pet_json"))["FrameTimesStart"] for name, files in written.items()}
    assert starts["01"] == [DAY_S - 1, 15, 31, 47, 63]
    assert starts["02"] == starts["03"] == [0, 16, 32, 48, 64]
    last = read(written["04"].one("pet_json"))
    assert last["FrameDuration"] == 16
    assert last["ReconFilterSize"] == 4
    assert last["ScanStart"] == last["TimeZero"] == last["ImageDecayCorrectionTime"]
    assert set(read(written["02"].one("pet_json"))["DecayCorrectionFactor"]) == {1.07238}


def test_defects_hide_pet_from_validators(defective):
    for root, _ in defective.values():
        assert "/pet/" in (root / ".bidsignore").read_text()


def test_defects_of_the_other_data_set(defective):
    root, written = defective["ds003397"]
    assert read(root / "dataset_description.json")["BIDSVersion"] == "1.0.1"
    first, second = written["01"].many("pet")
    assert first.read_bytes()[:2] != b"\x1f\x8b"
    assert first.stat().st_size == 352 + 2 * 64 * 64 * 15 * 3
    assert second.read_bytes()[:2] == b"\x1f\x8b"
    one, two = (read(path) for path in written["01"].many("pet_json"))
    for sidecar in (one, two):
        assert not {"FrameTimesStart", "FrameDuration", "Units", "TimeZero"} & set(sidecar)
        assert "16sec" in sidecar["SeriesDescription"]
    assert "dcmmeta_shape" not in one
    assert two["dcmmeta_shape"] == [64, 64, 15, 2]
    assert two["global"]["const"]["ActualFrameDuration"] == 16000
    later = seconds(two["AcquisitionTime"]) - seconds(one["AcquisitionTime"])
    assert later == 3 * 16
    np.testing.assert_allclose(two["dcmmeta_affine"], nib.load(second).affine, atol=1e-4)


def test_series_are_never_held_whole(tmp_path):
    """200 frames of 2 MiB: the peak is a few frames."""
    target, frame = tmp_path / "series.nii", np.ones((32, 128, 128), np.float32)
    options = {"shape": frame.shape, "frames": 200, "frame_seconds": 16.0, "scale": 0.5}
    tracemalloc.start()
    with nifti.write_series(target, affine_ras_mm=np.eye(4), **options) as writer:
        for _ in range(200):
            writer.append(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * frame.nbytes
    assert not target.with_name(".series.nii").exists()
    with gzip.open(target) as stream:
        stream.seek(352 + 199 * frame.size * 2)
        np.testing.assert_array_equal(np.frombuffer(stream.read(), "<i2"), 2)


def test_frames_that_do_not_fit_are_refused(tmp_path):
    options = {"shape": (2, 3, 4), "frames": 2, "frame_seconds": 16.0, "scale": 1.0}
    frame = np.ones((2, 3, 4), np.float32)

    def write_frames(*frames):
        target = tmp_path / "series.nii.gz"
        with nifti.write_series(target, affine_ras_mm=np.eye(4), **options) as writer:
            for each in frames:
                writer.append(each)

    for frames, message in (
        ((frame, frame[:1]), "not"),
        ((frame, frame * np.nan), "reaches nan"),
        ((frame, frame * 40_000), "beyond 32767"),
        ((frame,), "1 frames instead of 2"),
    ):
        with pytest.raises(ValueError, match=message):
            write_frames(*frames)
    assert list(tmp_path.iterdir()) == []


def test_a_stand_in_says_which_engine_projected_it(repository):
    """The embedded one, whatever the study's phantoms are projected by: thousands of slices."""
    raw = read_yaml(repository / "config.yaml")
    study = load_study({**raw, "scanner": {**raw["scanner"], "projector": "sirf"}}, origin="study.yaml")
    cohort = next(iter(study.standin.cohorts))
    participant = next(iter(study.standin.cohorts[cohort].participants))
    job = job_of(study, "standin", cohort=cohort, participant=participant)
    assert study.scanner.projector == "sirf"
    assert job.scanner.projector == "embedded"
