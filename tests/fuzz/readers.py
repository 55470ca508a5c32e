"""The readers of files under a coverage-guided fuzzer: they return or refuse, whatever they read.

    python tests/fuzz/readers.py onnx --seconds 600

needs the package `atheris`. Seeds are `tests/fuzz/corpus/READER/`; what once went wrong lies beside
them under its own name, and each test run reads all of it.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "corpus"
Reader = Callable[[Path], object]


def _model(path: Path) -> object:
    from ai8xc.driver import load

    return load(path)


def _description(path: Path) -> object:
    from ai8xc.device import load_device
    from ai8xc.driver import load_described
    from ai8xc.frontend.vendor_options import NetworkOptions

    return load_described(path, NetworkOptions(load_device("max78002"), input_shape=(3, 16, 16)))


def _checkpoint(path: Path) -> object:
    from ai8xc.frontend.checkpoint import read_checkpoint

    return read_checkpoint(path)


def _array(path: Path) -> object:
    from ai8xc.files import read_array

    return read_array(path)


def _arrays(path: Path) -> object:
    from ai8xc.files import read_arrays

    return read_arrays(path)


READERS: Final[dict[str, tuple[str, Reader]]] = {
    "onnx": (".onnx", _model),
    "ir": (".ir", _model),
    "pt2": (".pt2", _model),
    "yaml": (".yaml", _description),
    "checkpoint": (".pth.tar", _checkpoint),
    "npy": (".npy", _array),
    "npz": (".npz", _arrays),
}
"""Suffix and function of each reader."""


def read(name: str, content: bytes, folder: Path) -> bool:
    """Whether a reader takes this content; anything but `Rejected` goes through."""
    from ai8xc.ir.diag import Rejected

    suffix, reader = READERS[name]
    path = folder / f"fuzzed{suffix}"
    path.write_bytes(content)
    try:
        reader(path)
    except Rejected:
        return False
    return True


def main() -> None:
    """Fuzz one reader until time is up or something is found."""
    import atheris

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    with atheris.instrument_imports(include=["ai8xc.frontend", "ai8xc.grammar", "ai8xc.files"]):
        import ai8xc.driver
        import ai8xc.files
        import ai8xc.frontend.checkpoint
        import ai8xc.frontend.onnx_model
        import ai8xc.grammar.reader  # noqa: F401 - instrumented here, used by the readers
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as found:
        options = [
            f"-max_total_time={args.seconds}",
            "-timeout=10",
            "-rss_limit_mb=3000",
            "-max_len=20000",
            f"-artifact_prefix=finding-{args.reader}-",
        ]
        atheris.Setup(
            [sys.argv[0], *options, found, str(CORPUS / args.reader)],
            lambda content: read(args.reader, content, Path(folder)) and None,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
