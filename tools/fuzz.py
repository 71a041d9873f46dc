"""Feed damaged files to the readers and the model import, guided by what code they reach.

Usage: python tools/fuzz.py {tiff,dicom,model} [--runs 50000] [--findings DIR]

Needs atheris (Linux: pip install atheris) and the extra `dicom`. Begins with real files of each
kind, small ones, and mutates their bytes. Found is whatever is not refused as it should be: an
exception that is not for the user, more than 5 s, more than 2 GiB, or a file written elsewhere.
What was found lies in DIR, one file each.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

TIMEOUT_S = 5
MEMORY_MB = 2048
LARGEST_PX = 2**22
"""Images up to this size are looked at as segmentation would."""


def main() -> None:
    """Run one of the targets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    call = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    call.findings.mkdir(exist_ok=True)
    import atheris

    seeds, make_test, modules = TARGETS[call.target]
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch, "corpus")
        corpus.mkdir()
        # Only what is imported here for the first time tells which code was reached.
        with atheris.instrument_imports(include=modules):
            test = make_test(Path(scratch))
        for name, data in seeds().items():
            (corpus / name).write_bytes(data)
        options = [
            f"-runs={call.runs}",
            f"-timeout={TIMEOUT_S}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-artifact_prefix={call.findings}/{call.target}-",
            "-max_len=200000",
            "-len_control=0",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], test)
        atheris.Fuzz()


def tiff_seeds() -> dict[str, bytes]:
    """TIFF files of many kinds, of one small image."""
    import tifffile

    rng = np.random.default_rng(0)
    image = rng.integers(0, 60_000, (40, 48)).astype(np.uint16)
    stack = np.stack([image, image[::-1]])
    colour = rng.integers(0, 255, (40, 48, 3)).astype(np.uint8)
    kinds: dict[str, tuple[np.ndarray, dict]] = {
        "plain": (image, {}),
        "float": (image.astype(np.float32), {}),
        "imagej": (stack, {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 2.0}}),
        "ome": (stack, {"ome": True, "metadata": {"axes": "CYX"}}),
        "big": (image, {"bigtiff": True}),
        "tiled": (image, {"tile": (16, 16)}),
        "colour": (colour, {"photometric": "rgb"}),
        **{
            f"packed-{codec}": (image, {"compression": codec, "predictor": predictor})
            for codec, predictor in (("zlib", True), ("lzw", False), ("packbits", False))
        },
        "jpeg": (colour, {"compression": "jpeg", "photometric": "rgb"}),
    }
    found = {}
    for name, (data, options) in kinds.items():
        file = io.BytesIO()
        tifffile.imwrite(file, data, **{"photometric": "minisblack"} | options)
        found[name] = file.getvalue()
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as tif:
        tif.write(image, subifds=1, tile=(16, 16))
        tif.write(image[::2, ::2], subfiletype=1, tile=(16, 16))
    found["pyramid"] = file.getvalue()
    with tempfile.TemporaryDirectory() as scratch:
        from napari_xnet.io import write_labels

        path = Path(scratch, "labels.tif")
        write_labels(path, (image % 4).astype(np.uint8), pixel_size_mm=(0.1, 0.2), predicted=True)
        found["labels"] = path.read_bytes()
    return found


def dicom_seeds() -> dict[str, bytes]:
    """DICOM radiographs: plain, with a rescale slope, of several frames, run-length encoded."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4000, (30, 32)).astype(np.uint16)

    def make(frames: int = 1, packed: bool = False, **tags: object) -> bytes:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["fuzz"])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("x.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.Modality = "DX"
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.ImagerPixelSpacing = [0.14, 0.14]
        dataset.WindowCenter, dataset.WindowWidth = 2000, 1000
        if frames > 1:
            dataset.NumberOfFrames = frames
        for name, value in tags.items():
            setattr(dataset, name, value)
        dataset.PixelData = pixels.tobytes() * frames
        if packed:
            dataset.compress(RLELossless)
        file = io.BytesIO()
        pydicom.dcmwrite(file, dataset, enforce_file_format=True)
        return file.getvalue()

    return {
        "plain": make(),
        "rescaled": make(RescaleSlope="2.5", RescaleIntercept="-3", KVP="60", Exposure="5"),
        "frames": make(frames=3, Modality="RF"),
        "packed": make(packed=True),
    }


def reading(suffix: str) -> Callable[[Path], Callable[[bytes], None]]:
    """Read a file as the command line does, and look at its pixels."""

    def make_test(scratch: Path) -> Callable[[bytes], None]:
        import pydicom
        import pydicom.encoders  # noqa: F401
        import tifffile  # noqa: F401

        from napari_xnet.errors import ImageError
        from napari_xnet.imaging import working_image
        from napari_xnet.io import read_image

        path = scratch / f"damaged{suffix}"
        # pydicom warns of each odd value.
        warnings.simplefilter("ignore")

        def test(data: bytes) -> None:
            path.write_bytes(data)
            try:
                image = read_image(path)
                if image.data.ndim == 2 and np.prod(image.data.shape) <= LARGEST_PX:
                    working_image(image.data, 64)
            except ImageError:
                pass
            found = {one.name for one in scratch.iterdir()} - {"corpus", path.name}
            assert not found, f"wrote {found}"

        return test

    return make_test


_CARD, _WEIGHTS, _FOREST = "card.json", "weights.safetensors", "classifier.safetensors"


def model_seeds() -> dict[str, bytes]:
    """Files of a small model with a classifier; the first byte says which one it is."""
    return {
        name: bytes([number]) + data for number, (name, data) in enumerate(_small_model().items())
    }


def _small_model() -> dict[str, bytes]:
    from sklearn.tree import ExtraTreeClassifier

    from napari_xnet.models import Architecture, Model, ModelCard
    from napari_xnet.models.forest import Forest
    from napari_xnet.models.model import build

    rng = np.random.default_rng(0)
    tree = ExtraTreeClassifier(random_state=0).fit(rng.random((30, 4)), rng.integers(0, 3, 30))
    card = ModelCard(name="small", architecture=Architecture(name="unet", filters=(1, 1, 1, 1)))
    model = Model(card, build(card), Forest.of([tree.tree_], [0, 1, 2]))
    with tempfile.TemporaryDirectory() as scratch:
        model.save(Path(scratch, "small"))
        return {
            name: Path(scratch, "small", name).read_bytes() for name in (_CARD, _WEIGHTS, _FOREST)
        }


def importing(scratch: Path) -> Callable[[bytes], None]:
    """Import a model of which one file is damaged, and whose card knows about it."""
    store = scratch / "models"
    os.environ["NAPARI_XNET_MODELS"] = str(store)
    from napari_xnet.errors import ModelError
    from napari_xnet.models import import_model, remove_model
    from napari_xnet.models.weights import sha256

    whole = _small_model()
    names = list(whole)
    path = scratch / "stranger.zip"

    def test(data: bytes) -> None:
        if not data:
            return
        files = dict(whole)
        changed = names[data[0] % len(names)]
        files[changed] = data[1:]
        if changed != _CARD:
            # Else the import ends at the checksum.
            member = scratch / "member"
            member.write_bytes(files[changed])
            card = json.loads(files[_CARD])
            if changed == _WEIGHTS:
                card["weights_sha256"] = sha256(member)
            else:
                card["classifier"]["sha256"] = sha256(member)
            member.unlink()
            files[_CARD] = json.dumps(card).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        try:
            import_model(path)
        except ModelError:
            pass
        else:
            remove_model("stranger")
        found = {one.name for one in scratch.iterdir()} - {"corpus", path.name, store.name}
        assert not found, f"wrote {found}"

    return test


TARGETS = {
    "tiff": (tiff_seeds, reading(".tif"), ["tifffile", "napari_xnet.io", "napari_xnet.imaging"]),
    "dicom": (dicom_seeds, reading(".dcm"), ["pydicom", "napari_xnet.io", "napari_xnet.imaging"]),
    "model": (model_seeds, importing, ["napari_xnet.models"]),
}


if __name__ == "__main__":
    main()
