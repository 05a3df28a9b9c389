"""The model card: what it says must be so."""

import yaml

from lmttm.config.files import load_config
from lmttm.data.phantoms import CLASS_NAMES
from lmttm.evaluation import metrics
from lmttm.model.build import build_model
from lmttm.runs.card import model_card, preprocessing
from lmttm.runs.checkpoint import Checkpoint
from tests.conftest import TINY


def checkpoint(*overrides):
    config = load_config("demo.json", [*TINY, *overrides])
    return Checkpoint(config, build_model(config).state_dict(), 3, {"val_auc": 0.75}, {}, {})


def test_the_header_is_yaml_with_the_scores():
    import numpy as np

    labels = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    scores = metrics.score(labels, probabilities)
    scores |= {"interval": metrics.intervals(labels, probabilities), "ece": 0.1}
    text = model_card(checkpoint(), CLASS_NAMES, scores)
    header = yaml.safe_load(text.split("---")[1])
    assert header["datasets"] == ["PhantomMNIST3D"]
    values = {m["type"]: m["value"] for m in header["model-index"][0]["results"][0]["metrics"]}
    assert values == {"accuracy": 0.75, "roc_auc": 1.0}
    assert "not for clinical use" in text


def test_unscored_and_attributed():
    text = model_card(checkpoint("dataset_name=AdrenalMNIST3D"), ("normal", "hyperplasia"), None)
    assert "was not scored" in text
    assert "Scientific Data 10:41" in text
    assert "CC BY 4.0" in text
    assert "model-index" not in text


def test_preprocessing_names_the_channels():
    found = preprocessing(checkpoint("distance=on"), CLASS_NAMES)
    assert found["shape"] == ["batch", 2, 28, 28, 28]
    assert "distance" in found["channels"][1]
