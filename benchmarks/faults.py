"""What becomes of a study that is disturbed? Seeded faults, one by one, in copies of a small study.

    python benchmarks/faults.py --faults 200 --seed 1 --folder /tmp/faults [--only KIND]

Each fault is done to a copy of a finished or half-finished study. Then the same command is run again,
after `snakemake --unlock` where Snakemake itself was killed, as `docs/running.md` says. It must end in
the undisturbed tables, byte by byte, or stop with one sentence that names a file. Some of these
sentences are followed: the file is moved away, and the command run once more. Mounts want root;
without, faults that need one are skipped. Writes ``faults.csv`` into the folder, and all that was said
where a fault ended in another way; the same command goes on with an interrupted campaign, and does such
faults again.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from fault_campaign.bench import Bench
from fault_campaign.disks import can_mount, file_limit, full_disk, lost_mount, read_only
from fault_campaign.files import done_to_a_file
from fault_campaign.judging import GOOD, Outcome, Said, as_table, judged, read_outcomes, write_outcomes
from fault_campaign.plan import KINDS, OF_FILES, Fault, planned
from fault_campaign.processes import job_killed, killed, two_runs
from small_study import small_study, tables_of

DOERS: dict[str, Callable[[Bench, Fault], tuple[str, Said]]] = {
    **dict.fromkeys(OF_FILES, done_to_a_file),
    **dict.fromkeys(("killed", "terminated"), killed),
    **dict.fromkeys(("job killed", "hung"), job_killed),
    "read-only": read_only,
    "full disk": full_disk,
    "file limit": file_limit,
    "lost mount": lost_mount,
    **dict.fromkeys(("two runs", "two runs, no lock"), two_runs),
}
MOUNTING = ("read-only", "full disk", "lost mount")


def tried(bench: Bench, fault: Fault, *, mounts: bool) -> Outcome:
    """Do one fault, run the command again, and see how that ends."""
    if fault.kind in MOUNTING and not mounts:
        return Outcome(fault=fault, outcome="skipped", said="mounting wants root")
    began = time.monotonic()
    where, said = DOERS[fault.kind](bench, fault)
    outcome = judged(said, tables_of(bench.copy), bench.tables)
    if outcome not in GOOD:
        (bench.folder / f"{fault.number}.txt").write_text(said.text)
    named = bench.copy / said.file
    if outcome == "refused" and fault.followed and named.is_file():
        named.rename(bench.folder / "moved away")
        after = judged(bench.run(), tables_of(bench.copy), bench.tables)
        outcome = "refused, then resumed" if after == "resumed" else after
    seconds = time.monotonic() - began
    return Outcome(
        fault=fault, outcome=outcome, where=where, said=said.sentence, seconds=round(seconds, 1)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True, help="of the campaign alone")
    parser.add_argument("--only", choices=KINDS, help="faults of this kind alone")
    options = parser.parse_args()
    folder = options.folder.absolute()
    bench, mounts = Bench.prepared(folder, small_study()), can_mount(folder)
    plan, path = planned(options.faults, options.seed, options.only), folder / "faults.csv"
    ended = {each.fault.number: each for each in read_outcomes(path, plan) if each.outcome in GOOD}
    with contextlib.suppress(KeyboardInterrupt):
        for fault in plan:
            if fault.number in ended:
                continue
            ended[fault.number] = done = tried(bench, fault, mounts=mounts)
            place = f"{fault.number} {fault.kind}, {done.where}"
            print(f"{place}: {done.outcome} ({done.seconds} s) {done.said}", flush=True)
            write_outcomes(path, [ended[number] for number in sorted(ended)])
    print("\n".join(["", *as_table(list(ended.values()))]))
    return 0 if all(each.outcome in GOOD for each in ended.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
