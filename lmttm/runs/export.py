"""Exports a model as ONNX, checked against onnxruntime."""

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from lmttm.errors import InputError, RunError
from lmttm.storage import whole_file

TOLERANCE = 1e-4


class _Logits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, volumes: Tensor) -> Tensor:
        logits: Tensor = self.model(volumes)
        return logits


def write_onnx(path: Path, model: nn.Module, volumes: Tensor) -> float:
    """Writes a model as ONNX and checks it against onnxruntime before it gets its name.

    Args:
        path: The file.
        model: In evaluation mode, on the CPU.
        volumes: Prepared volumes `(b c D H W)`, b at least 2, on which both must agree.

    Returns:
        The largest difference of a logit.

    Raises:
        InputError: The packages for it are missing.
        RunError: The logits differ by more than 1e-4.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError:
        raise InputError("the export needs ONNX: pip install -e '.[onnx]'") from None
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):  # what they skip is no news to users
        logging.getLogger(name).setLevel(logging.ERROR)
    with whole_file(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's, about its own parts
            program = torch.onnx.export(
                _Logits(model),
                (volumes[:2],),
                dynamo=True,
                input_names=["volumes"],
                output_names=["logits"],
                dynamic_shapes={"volumes": {0: torch.export.Dim("batch", min=1)}},
                verbose=False,
            )
        assert program is not None  # as `dynamo` is on
        program.save(str(temporary), include_initializers=True, external_data=False)
        session = onnxruntime.InferenceSession(
            temporary.read_bytes(), providers=["CPUExecutionProvider"]
        )
        worst = 0.0
        with torch.no_grad():
            for part in (volumes, volumes[:1]):  # another batch size, and one volume alone
                (logits,) = session.run(["logits"], {"volumes": part.numpy()})
                worst = max(worst, (torch.from_numpy(logits) - model(part)).abs().max().item())
        if not worst <= TOLERANCE:
            raise RunError(f"onnxruntime's logits differ by {worst:.2g}, more than {TOLERANCE:g}")
    return worst
