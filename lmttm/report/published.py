"""Published results on MedMNIST 3D: test split, 28^3, AUC and ACC.

Sources: the first eight rows from Yang et al., Scientific Data 10:41 (2023); the other two from
Wei et al., doi 10.1016/j.cmpb.2025.108640.
"""

_DATASETS = ("Organ", "Nodule", "Fracture", "Adrenal", "Vessel", "Synapse")

_TABLE = """
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
"""


def published(dataset: str) -> list[tuple[str, float, float]]:
    """The published methods with their AUC and ACC on a data set, such as AdrenalMNIST3D.

    Args:
        dataset: The name; the list is empty for one that is not in the table.
    """
    names = [f"{name}MNIST3D" for name in _DATASETS]
    if dataset not in names:
        return []
    column = names.index(dataset)
    rows = []
    for line in _TABLE.strip().splitlines():
        method, _, values = line.partition("|")
        auc, acc = values.split()[column].split("/")
        rows.append((method.strip(), float(auc), float(acc)))
    return rows
