"""What the sections of a study require of each other.

Every check raises ValueError with the key, its value and the remedy.
"""

from __future__ import annotations

from quietpet.study.acquisition import require_calibration, require_scanner_limits
from quietpet.study.cohorts import require_comparable_cohorts
from quietpet.study.contents import StudyContents
from quietpet.study.domains import require_domains
from quietpet.study.dose_amounts import require_doses
from quietpet.study.gallery import require_gallery
from quietpet.study.invivo import require_invivo, require_standin, require_transforms
from quietpet.study.methods import (
    require_batches,
    require_costs,
    require_method_names,
    require_reference,
    require_sizes,
)
from quietpet.study.observers import require_observers
from quietpet.study.realisations import require_realisations
from quietpet.study.robustness import require_robustness
from quietpet.study.stages import require_stages
from quietpet.study.t1 import require_t1_where_needed, require_variants
from quietpet.study.windows import require_frames_of_windows


def require_consistent(study: StudyContents) -> None:
    """Raise ValueError at the first of the sections that contradicts another."""
    require_calibration(study)
    require_method_names(study)
    require_sizes(study)
    require_batches(study)
    require_costs(study)
    require_reference(study)
    require_variants(study)
    require_scanner_limits(study)
    require_domains(study)
    require_invivo(study)
    require_transforms(study)
    require_standin(study)
    require_frames_of_windows(study)
    require_stages(study)
    require_t1_where_needed(study)
    require_comparable_cohorts(study)
    require_robustness(study)
    require_doses(study)
    require_gallery(study)
    require_realisations(study)
    require_observers(study)
