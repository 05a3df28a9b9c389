"""Published results on MedMNIST 3D: test split, AUC and ACC, by the size of the volumes.

Sources, 28^3: the first eight rows from Yang et al., Scientific Data 10:41 (2023); the other two
from Wei et al., doi 10.1016/j.cmpb.2025.108640. 64^3: An et al., arXiv 2507.08254, table 3; that
its volumes have 64^3 voxels is said in the repository of that paper, by its example.
"""

_DATASETS = ("Organ", "Nodule", "Fracture", "Adrenal", "Vessel", "Synapse")

_TABLES = {
    28: """
ResNet-18 2.5D  | .977/.788 .838/.835 .587/.451 .718/.772 .748/.846 .634/.696
ResNet-18 3D    | .996/.907 .863/.844 .712/.508 .827/.721 .874/.877 .820/.745
ResNet-18 ACS   | .994/.900 .873/.847 .714/.497 .839/.754 .930/.928 .705/.722
ResNet-50 2.5D  | .974/.769 .835/.848 .552/.397 .732/.763 .751/.877 .669/.735
ResNet-50 3D    | .994/.883 .875/.847 .725/.494 .828/.745 .907/.918 .851/.795
ResNet-50 ACS   | .994/.889 .886/.841 .750/.517 .828/.758 .912/.858 .719/.709
auto-sklearn    | .977/.814 .914/.874 .628/.453 .828/.802 .910/.915 .631/.730
AutoKeras       | .979/.804 .844/.834 .642/.458 .804/.705 .773/.894 .538/.724
TTM (in the LMTTM paper) | .995/.915 .873/.870 .662/.546 .816/.808 .855/.922 .709/.753
LMTTM (paper)   | .997/.948 .891/.883 .691/.562 .847/.842 .917/.931 .737/.777
""",
    64: """
ResNet-50 3D        | .995/.918 .886/.860 .759/.487 .869/.835 .932/.915 .889/.853
MAE, 3D ViT         | .982/.800 .820/.828 .600/.481 .710/.752 .607/.880 .560/.737
MISFM, pretrained   | .989/.833 .886/.855 .689/.537 .868/.665 .932/.894 .918/.307
SuPreM, pretrained  | .999/.968 .891/.848 .645/.492 .906/.869 .964/.929 .907/.879
SLIViT, pretrained  | .997/.946 .920/.868 .656/.475 .846/.789 .710/.880 .541/.270
VoCo-L, pretrained  | .992/.870 .797/.836 .699/.535 .913/.872 .799/.880 .844/.830
Merlin, pretrained  | .976/.766 .809/.861 .691/.549 .836/.801 .870/.879 .833/.825
Raptor-B, on DINOv2 | .998/.958 .904/.858 .647/.501 .930/.858 .945/.919 .922/.894
Raptor, on DINOv2   | .999/.961 .929/.870 .677/.502 .926/.845 .966/.922 .943/.911
""",
}

REPORTED_BY = {
    28: "MedMNIST v2 and the LMTTM paper report them",
    64: "the paper on Raptor (arXiv 2507.08254) reports them",
}  # by the size of the volumes, the end of a sentence


def published(dataset: str, size: int = 28) -> list[tuple[str, float, float]]:
    """The published methods with their AUC and ACC on a data set, such as AdrenalMNIST3D.

    Args:
        dataset: The name; the list is empty for one that is not in the tables.
        size: Voxels along an edge of the volumes; the list is empty for a size without a table.
    """
    names = [f"{name}MNIST3D" for name in _DATASETS]
    if dataset not in names or size not in _TABLES:
        return []
    column = names.index(dataset)
    rows = []
    for line in _TABLES[size].strip().splitlines():
        method, _, values = line.partition("|")
        auc, acc = values.split()[column].split("/")
        rows.append((method.strip(), float(auc), float(acc)))
    return rows
