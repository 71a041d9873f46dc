"""``python -m napari_xnet``: the command line."""

from napari_xnet.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
