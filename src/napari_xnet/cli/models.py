"""``napari-xnet models``."""

import argparse
from pathlib import Path

from napari_xnet import models
from napari_xnet.cli.terminal import DONE, say


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its actions to the parser's."""
    store = commands.add_parser(
        "models",
        help="list, show, export, import and remove models",
        description="List, show, export, import and remove models.",
    )
    actions = store.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("list", help="names of all models")
    action.set_defaults(run=_list_models)
    action = actions.add_parser("show", help="the card of a model, as JSON")
    action.add_argument("name", help="name of a model, see models list")
    action.set_defaults(run=_show_model)
    action = actions.add_parser("export", help="write a model as one ZIP file")
    action.add_argument("name", help="name of a model, see models list")
    action.add_argument("path", type=Path, help="ZIP file to write, or the folder for NAME.zip")
    action.set_defaults(run=_export_model)
    action = actions.add_parser("import", help="add a model that was exported")
    action.add_argument("path", type=Path, help="ZIP file; the model gets the name of the file")
    action.set_defaults(run=_import_model)
    action = actions.add_parser("remove", help="delete a model")
    action.add_argument("name", help="name of a model, see models list")
    action.set_defaults(run=_remove_model)


def _list_models(_: argparse.Namespace) -> int:
    print(*models.list_models(), sep="\n")
    return DONE


def _show_model(call: argparse.Namespace) -> int:
    print(models.show_model(call.name).to_json(), end="")
    return DONE


def _export_model(call: argparse.Namespace) -> int:
    print(models.export_model(call.name, call.path))
    return DONE


def _import_model(call: argparse.Namespace) -> int:
    print(models.import_model(call.path))
    return DONE


def _remove_model(call: argparse.Namespace) -> int:
    models.remove_model(call.name)
    say(f"Removed {call.name}.")
    return DONE
