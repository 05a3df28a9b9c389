"""The export: onnxruntime gives the same logits, for any batch, and the card is true."""

import json

import numpy as np
import pytest
import torch

import predict
import train
from lmttm import load_run, prepare
from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.errors import RunError
from lmttm.model.build import build_model
from lmttm.runs import export
from tests.conftest import TINY
from tools import export as script

SLOW = pytest.mark.slow
onnxruntime = pytest.importorskip("onnxruntime", reason="needs: pip install -e '.[onnx]'")


def test_a_run_is_exported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 32, "val": 20, "test": 20})
    argv = ["demo.json", *TINY, "model.memory_start=carried", f"output_dir={tmp_path}"]
    assert train.main(argv) == 0
    assert predict.main(argv) == 0
    assert script.main(argv) == 0
    folder = tmp_path / "demo" / "export"
    scores = json.loads((tmp_path / "demo" / "test" / "metrics.json").read_text())
    low, high = scores["interval"]["acc"]
    card = (folder / "model_card.md").read_text()
    assert "not for clinical use" in card
    assert "chosen by the AUC of the validation split" in card
    assert f"| ACC | {scores['acc']:.3f} | {low:.3f} to {high:.3f} |" in card

    told = json.loads((folder / "preprocessing.json").read_text())
    assert told["classes"] == list(phantoms.CLASS_NAMES)
    model, config = load_run(tmp_path / "demo")
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters |" in card
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    for batch in (1, 3, 40):
        volumes = np.random.default_rng(batch).integers(0, 256, (batch, 28, 28, 28), np.uint8)
        ready = prepare(volumes, config)
        assert list(ready.shape[1:]) == told["shape"][1:]
        (logits,) = session.run(None, {"volumes": ready.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(logits, model(ready).numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(
            ["model.preprocess_mode=3dBN", "distance=on", "model.mark_neighbours=true"], marks=SLOW
        ),
        pytest.param(["model.memory_mode=TL-MHA", "model.model=ttm"], marks=SLOW),
        pytest.param(["model.process_unit=mixer", "model.memory_mode=TL-AddErase"], marks=SLOW),
        pytest.param(["model.memory_mode=none", "model.pool=attention"], marks=SLOW),
    ],
    ids=str,
)
def test_variants_are_exported(overrides, tmp_path):
    model = build_model(load_config("demo.json", [*TINY, *overrides])).eval()
    volumes = torch.rand(5, 2 if "distance=on" in overrides else 1, 28, 28, 28)
    assert export.write_onnx(tmp_path / "m.onnx", model, volumes) < 1e-4


@SLOW
def test_a_model_that_differs_is_not_written(tmp_path, monkeypatch):
    model = build_model(load_config("demo.json", TINY)).eval()
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(RunError, match="logits differ"):
        export.write_onnx(tmp_path / "m.onnx", model, torch.rand(3, 1, 28, 28, 28))
    assert list(tmp_path.iterdir()) == []


def test_export_before_train(tmp_path, capsys):
    assert script.main(["demo.json", f"output_dir={tmp_path}"]) == 2
    assert "train first" in capsys.readouterr().err
