"""What starting a job costs: packages that are slow to import are imported only where they are used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SLOW = {
    "torch": 1.4,
    "lightning_fabric": 1.4,
    "monai": 0.6,
    "matplotlib": 0.4,
    "pandas": 0.3,
    "sklearn": 0.4,
    "tensorboard": 0.3,
    "nilearn": 1.0,
    "SimpleITK": 0.2,
}
"""Core seconds to import each, roughly."""


def slow_after(*statements: str) -> set[str]:
    """The slow packages that a new Python holds after these statements."""
    code = f"{'; '.join(statements)}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return SLOW.keys() & set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("statements", "imported"),
    [
        (["import quietpet.cli", "import quietpet.stages.thin", "import quietpet.stages.pack"], set()),
        (["import quietpet.stages.fit", "import quietpet.methods.gaussian.model"], {"torch"}),
        (["import quietpet.stages.fit", "import quietpet.methods.nlm.model"], {"torch"}),
        (["import quietpet.stages.fit", "import quietpet.methods.nafnet.model"], {"torch"}),
        (["import quietpet.stages.restore", "import quietpet.methods.mfdiff.model"], {"torch", "monai"}),
        (["import quietpet.stages.score"], set()),
    ],
    ids=lambda value: value[-1].rpartition(" ")[2] if isinstance(value, list) else None,
)  # fmt: skip
def test_a_job_imports_nothing_slow_that_it_does_not_use(statements, imported):
    assert slow_after(*statements) == imported


def test_what_networks_do_without_can_be_imported_afterwards():
    used = [
        "import quietpet.methods.unet.model",
        "import pandas, matplotlib, scipy.stats, scipy.ndimage, skimage",
        "assert pandas.DataFrame and scipy.stats.norm.cdf(0) == 0.5",
    ]
    assert {"pandas", "matplotlib"} <= slow_after(*used)
