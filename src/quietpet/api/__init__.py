"""The public functions: a study and arrays in, arrays out, computed by the code of the steps.

Images are arrays (slice, y, x) on the scanner's grid, whose axis is in pixel n // 2; sinograms are
(slice, view, bin). Activity is in kBq/ml at the start of the standard scan where the study has
``acquisition.calibration``, else in the unit of ``phantoms.activity``; attenuation is in 1/cm.
"""

from quietpet.api.reading import read_study
from quietpet.api.restoring import Restored, restore
from quietpet.api.scanning import Images, reconstruct, simulate
from quietpet.api.scoring import Score, score
from quietpet.errors import InputError
from quietpet.files.sinograms import Sinograms
from quietpet.study.root import Study

__all__ = [
    "Images",
    "InputError",
    "Restored",
    "Score",
    "Sinograms",
    "Study",
    "read_study",
    "reconstruct",
    "restore",
    "score",
    "simulate",
]
