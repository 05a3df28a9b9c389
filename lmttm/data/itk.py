"""What SimpleITK reads and nibabel does not: NRRD, MetaImage and others."""

import contextlib
import locale
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lmttm.data.integrity import (
    check_gzip,
    check_metaimage,
    check_nrrd,
    check_size,
    check_tiff,
    check_vtk,
)
from lmttm.data.scan import LARGEST, Scan, oriented
from lmttm.errors import InputError, one_line

_GIPL_HEADER = 256  # bytes
SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".gipl", ".gipl.gz", ".vtk", ".tif", ".tiff")


def read_itk(path: Path) -> Scan:
    """Reads an image by SimpleITK.

    Raises:
        InputError: SimpleITK is missing, or the file holds something other than one grey volume.
    """
    try:
        import SimpleITK
    except ImportError:
        raise InputError(f'{path} needs SimpleITK: pip install -e ".[medical]"') from None
    library: Any = SimpleITK  # it has no types
    reader = library.ImageFileReader()
    reader.SetFileName(str(path))
    library.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with _same_locale():
            reader.ReadImageInformation()
        shape = reader.GetSize()
        if np.prod(shape, dtype=np.float64) > LARGEST:
            raise InputError(f"{path} claims {shape} voxels, more than can be right")
        channels = reader.GetNumberOfComponents()
        if channels != 1:
            raise InputError(f"{path} must hold one grey value for each voxel, got {channels}")
        if len(shape) < 3 or np.prod(shape[3:], dtype=np.float64) != 1:
            raise InputError(f"{path} must hold one volume, got the shape {shape}")
        voxel = library.Image([1] * len(shape), reader.GetPixelID()).GetSizeOfPixelComponent()
        _check_whole(path, int(np.prod(shape)) * voxel)
        with _same_locale():
            image = reader.Execute()
    except RuntimeError as error:
        # SimpleITK's text begins with its own source file; the reason is the last line.
        reason = str(error).strip().splitlines()[-1:] or [one_line(error)]
        said = reason[0].removeprefix("sitk::ERROR: ")[:200]
        raise InputError(f"{path} cannot be read as a volume: {said}") from None
    dimensions = image.GetDimension()
    affine = np.eye(4)
    directions = np.reshape(image.GetDirection(), (dimensions, dimensions))[:3, :3]
    affine[:3, :3] = directions * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    affine[:2] *= -1  # ITK counts to the left and to the back
    voxels = library.GetArrayFromImage(image)
    return oriented(voxels.reshape(voxels.shape[-3:]).transpose(2, 1, 0), affine)


@contextlib.contextmanager
def _same_locale() -> Iterator[None]:
    """Undoes that ITK's reader of VTK changes how this process decodes text."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def _check_whole(path: Path, num_bytes: int) -> None:
    """Refuses what SimpleITK would make up where a file is cut short."""
    name = path.name.lower()
    if name.endswith((".mha", ".mhd")):
        check_metaimage(path, num_bytes)
    elif name.endswith(".gz"):
        check_gzip(path)
    elif name.endswith((".tif", ".tiff")):
        check_tiff(path)
    elif name.endswith((".nrrd", ".nhdr")):
        check_nrrd(path)
    elif name.endswith(".vtk"):
        check_vtk(path, num_bytes)
    elif name.endswith(".gipl"):
        check_size(path, num_bytes, _GIPL_HEADER)
