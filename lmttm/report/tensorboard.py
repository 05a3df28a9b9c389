"""TensorBoard events of a run."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmttm.config.kinds import METRICS

_VALIDATION = ("val_loss", *(f"val_{name}" for name in METRICS))


class TensorBoard:
    """Writes what a run does as TensorBoard events: its epochs, and in `steps/` its steps.

    The two count differently, so they lie apart: TensorBoard voids events by their number.

    Args:
        folder: Where the events go.
        first_epoch: Events of this epoch and later ones, of an interrupted run, are void;
            None where earlier events are none of ours.
        first_step: The same for the steps, counted over all epochs.
    """

    def __init__(
        self, folder: Path, first_epoch: int | None = None, first_step: int | None = None
    ) -> None:
        self.folder = folder
        self.first_epoch = first_epoch
        self.first_step = first_step

    @functools.cached_property
    def writer(self) -> Any:
        """Torch's writer, which makes its file when the first event comes."""
        return _writer(self.folder, self.first_epoch)

    @functools.cached_property
    def step_writer(self) -> Any:
        """The same for the steps."""
        return _writer(self.folder / "steps", self.first_step)

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Adds the hyper-parameters, by which TensorBoard compares runs."""
        from torch.utils.tensorboard.summary import hparams

        plain = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in settings.items()
        }
        for event in hparams(plain, dict.fromkeys(_VALIDATION)):
            self.writer.file_writer.add_summary(event)

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds the numbers of one epoch."""
        for key in ("train_loss", *_VALIDATION, "lr"):
            if record[key] is not None:
                self.writer.add_scalar(key, record[key], record["epoch"])
        self.writer.flush()

    def add_step(self, number: int, numbers: Mapping[str, float]) -> None:
        """Adds the numbers of one step, which is counted over all epochs."""
        for key, value in numbers.items():
            self.step_writer.add_scalar(key, value, number)

    def add_picture(self, name: str, png: bytes) -> None:
        """Adds a picture that is drawn already, as the content of a PNG file."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        height, width = (int.from_bytes(png[at : at + 4], "big") for at in (20, 16))
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        self.writer.file_writer.add_summary(summary)

    def close(self) -> None:
        """Ends the events files."""
        for name in ("writer", "step_writer"):
            if name in self.__dict__:
                self.__dict__[name].close()


def _writer(folder: Path, first: int | None) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # slow to import

    return SummaryWriter(str(folder), purge_step=first)
