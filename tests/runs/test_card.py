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
    assert "**Note:" not in text


def test_what_a_reader_must_know_first_stands_first():
    """Guards against an exported model whose card does not say that its training has not ended."""
    text = model_card(checkpoint(), CLASS_NAMES, None, ["the training has not ended"])
    before, note, _ = text.partition("**Note: the training has not ended.**\n\n")
    assert note
    assert "\n\n| |" not in before


def test_preprocessing_names_the_channels():
    found = preprocessing(checkpoint("distance=on"), CLASS_NAMES)
    assert found["shape"] == ["batch", 2, 28, 28, 28]
    assert "distance" in found["channels"][1]


def test_the_preparation_of_scans_goes_along():
    """Guards against an exported model whose users guess axes and window."""
    saved = checkpoint("volume.axes=zyx", "volume.window=-160,240", "volume.intensity=hu")
    found = preprocessing(saved, CLASS_NAMES)
    assert found["volume"]["axes"] == "zyx"
    assert found["volume"]["window"] == [-160, 240]
    assert "D, H, W = z, y, x" in found["from_scan_to_bytes"]["orientation"]
    card = model_card(saved, CLASS_NAMES, None)
    for text in found["from_scan_to_bytes"].values():
        assert text in card


def test_the_card_says_where_the_training_started():
    card = model_card(checkpoint("train.start_from=vesselmnist3d_28"), CLASS_NAMES, None)
    assert "those of epoch 3; started from vesselmnist3d_28 |" in card
    assert "started from" not in model_card(checkpoint(), CLASS_NAMES, None)


def test_the_channels_of_a_case_are_listed_in_order():
    """Guards against an exported model whose users guess which scan comes first."""
    several = ("dataset_name=mine/", "model.in_channels=2", "volume.intensity=hu,masks")
    saved = checkpoint(*several, "distance=on")
    found = preprocessing(saved, CLASS_NAMES)
    assert found["shape"] == ["batch", 3, 28, 28, 28]
    assert found["channels"][:2] == [
        "intensity of path: byte / 255",
        "intensity of path_2: byte / 255",
    ]
    assert found["channels"][2].startswith("signed Euclidean distance to the surface of the mask")
    assert "mask path_2 (bytes" in found["channels"][2]
    card = model_card(saved, CLASS_NAMES, None)
    for number, text in enumerate(found["channels"], 1):
        assert f"{number}. {text}" in card
    assert "the region is that of the first" in found["from_scan_to_bytes"]["alignment"]
