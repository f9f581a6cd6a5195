# quietpet: from BrainWeb phantoms to results/tables.csv.
#
#   snakemake --cores 8 results/tables.csv                                      the small study
#   snakemake --cores 8 --configfile workflow/configs/paper.yaml --directory runs/paper results/tables.csv
#
# Science is in the configuration; cores, memory, GPUs and folders are on the command line or in a profile.

from snakemake.utils import min_version

min_version("9.17")


# A study is one complete file: --configfile replaces config.yaml and is never merged with it.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/phantoms.smk"
include: "workflow/rules/acquisition.smk"
include: "workflow/rules/invivo.smk"
include: "workflow/rules/learning.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/realisations.smk"


rule all:
    default_target: True
    input:
        "results/tables.csv",
        "results/counts.csv",
        "results/report.html",
