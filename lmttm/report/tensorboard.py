"""TensorBoard events of a run."""

import functools
from pathlib import Path
from typing import Any

from lmttm.config.kinds import METRICS


class TensorBoard:
    """Writes the record of each epoch as TensorBoard events.

    Args:
        folder: Where the events go.
        first_epoch: Events of this epoch and later ones, of an interrupted run, are void;
            None where earlier events are none of ours.
    """

    def __init__(self, folder: Path, first_epoch: int | None = None) -> None:
        self.folder = folder
        self.first_epoch = first_epoch

    @functools.cached_property
    def writer(self) -> Any:
        """Torch's writer, which makes its file when the first event comes."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        return SummaryWriter(str(self.folder), purge_step=self.first_epoch)

    def add(self, record: dict[str, Any]) -> None:
        """Adds the numbers of one epoch."""
        for key in ("train_loss", "val_loss", *(f"val_{name}" for name in METRICS), "lr"):
            if record[key] is not None:
                self.writer.add_scalar(key, record[key], record["epoch"])
        self.writer.flush()

    def add_figure(self, name: str, figure: Any) -> None:
        """Adds a picture."""
        self.writer.add_figure(name, figure, close=False)

    def close(self) -> None:
        """Ends the events file."""
        if "writer" in self.__dict__:
            self.writer.close()
