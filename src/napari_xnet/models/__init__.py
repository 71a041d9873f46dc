"""Models: a network, its weights and its card; and where they are kept."""

from napari_xnet.models.card import (
    Architecture,
    Impurity,
    ModelCard,
    Preprocessing,
    Purity,
    PurityCurve,
    SoftTissue,
)
from napari_xnet.models.model import Model
from napari_xnet.models.prediction import POLARITIES, Polarity
from napari_xnet.models.store import (
    DEFAULT,
    check_changeable,
    check_new_name,
    export_model,
    find_model,
    import_model,
    list_models,
    load_model,
    models_folder,
    remove_model,
    show_model,
    write_card,
)

__all__ = [
    "DEFAULT",
    "POLARITIES",
    "Architecture",
    "Impurity",
    "Model",
    "ModelCard",
    "Polarity",
    "Preprocessing",
    "Purity",
    "PurityCurve",
    "SoftTissue",
    "check_changeable",
    "check_new_name",
    "export_model",
    "find_model",
    "import_model",
    "list_models",
    "load_model",
    "models_folder",
    "remove_model",
    "show_model",
    "write_card",
]
