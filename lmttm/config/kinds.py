"""The parts that a configuration chooses by name, and the class or function behind each name.

A new part is one class and one line here: the choices of the schema, the error messages, the
reference of keys and the tests of all variants follow. `CONTRIBUTING.md` walks through an
example. The classes stand here as texts, so that nothing slow is imported; `find` imports one.
"""

from pkgutil import resolve_name
from typing import Any, NamedTuple


class MemoryMode(NamedTuple):
    """How memory is read and written.

    Attributes:
        summarizer: What the read takes from a memory unit and the input, and what a write that
            summarizes makes its unit of; see `lmttm.model.summarizers`.
        write: What makes a unit anew; None where there is no memory. See `lmttm.model.write`.
    """

    summarizer: str
    write: str | None


class DataSet(NamedTuple):
    """A data set with a name.

    Attributes:
        source: What loads it; see `lmttm.data.named`.
        sizes: Edges of a volume, in voxels, in which there is a version of it.
    """

    source: str
    sizes: tuple[int, ...] = (28, 64)


class Metric(NamedTuple):
    """A score of a split: the higher, the better.

    Attributes:
        label: Its name in tables for people.
        meaning: What it says, in a few words.
        function: Labels `(N)` and probabilities `(N C)` -> a number, or None where it is not
            defined; see `lmttm.evaluation.metrics`.
        resampled: The same for many draws of volumes at once, for intervals; see
            `lmttm.evaluation.resampling`. None: the function is called draw by draw.
    """

    label: str
    meaning: str
    function: str
    resampled: str | None = None


TOKENIZERS = {
    "3d": "lmttm.model.tokenizer:PatchTokenizer",
    "3dBN": "lmttm.model.tokenizer:BatchNormTokenizer",
    "resnet18": "lmttm.model.tokenizer:ResNetTokenizer",
}

_TOKEN_LEARNER = "lmttm.model.summarizers:TokenLearner"
_ATTENTION = "lmttm.model.summarizers:AttentionSummarizer"

MEMORY_MODES = {
    "TL": MemoryMode(_TOKEN_LEARNER, "lmttm.model.write:SummarizingWrite"),
    "TL-MHA": MemoryMode(_ATTENTION, "lmttm.model.write:SummarizingWrite"),
    "TL-AddErase": MemoryMode(_TOKEN_LEARNER, "lmttm.model.write:EraseAddWrite"),
    "none": MemoryMode(_TOKEN_LEARNER, None),
}

PROCESS_UNITS = {
    "transformer": "lmttm.model.mdu:TransformerMDU",
    "mixer": "lmttm.model.mdu:MixerMDU",
    "mlp": "lmttm.model.mdu:MLPMDU",
}

POOLS = {
    "mean": "lmttm.model.pool:MeanPool",
    "attention": "lmttm.model.pool:AttentionPool",
}

NOISES: dict[str, str | None] = {
    "none": None,
    "normal": "torch:randn_like",
    "uniform": "lmttm.model.noise:uniform",
    "laplace": "lmttm.model.noise:laplace",
    "exponential": "lmttm.model.noise:exponential",
    "gamma": "lmttm.model.noise:gamma",
    "poisson": "lmttm.model.noise:poisson",
}

OPTIMIZERS = {
    "Adam": "torch.optim:Adam",
    "AdamW": "torch.optim:AdamW",
    "RMSprop": "torch.optim:RMSprop",
}

LOGGERS: dict[str, str | None] = {
    "none": None,
    "wandb": "lmttm.report.tracking:WandB",
    "mlflow": "lmttm.report.tracking:MLflow",
}

PHANTOM = "PhantomMNIST3D"
_MEDMNIST = "lmttm.data.named:MedMNIST"

DATASETS = {
    "OrganMNIST3D": DataSet(_MEDMNIST),
    "NoduleMNIST3D": DataSet(_MEDMNIST),
    "FractureMNIST3D": DataSet(_MEDMNIST),
    "AdrenalMNIST3D": DataSet(_MEDMNIST),
    "VesselMNIST3D": DataSet(_MEDMNIST),
    "SynapseMNIST3D": DataSet(_MEDMNIST),
    PHANTOM: DataSet("lmttm.data.named:Phantoms", sizes=(28,)),
}

METRICS = {
    "auc": Metric(
        "AUC",
        "area under the ROC curve; of three or more classes the mean of one-versus-rest",
        "lmttm.evaluation.metrics:auc",
        "lmttm.evaluation.resampling:auc",
    ),
    "acc": Metric(
        "ACC",
        "share of volumes that are predicted correctly",
        "lmttm.evaluation.metrics:accuracy",
        "lmttm.evaluation.resampling:accuracy",
    ),
    "balanced_acc": Metric(
        "balanced ACC",
        "mean over classes of the share that is found",
        "lmttm.evaluation.metrics:balanced_accuracy",
        "lmttm.evaluation.resampling:balanced_accuracy",
    ),
}


def find(path: str) -> Any:
    """The class or function that a path of these tables (`module:name`) names."""
    return resolve_name(path)
