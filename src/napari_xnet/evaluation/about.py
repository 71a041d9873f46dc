"""What a report says of the model that it is about."""

import datetime

from napari_xnet.inference import Options
from napari_xnet.models import ModelCard
from napari_xnet.wording import several


def about_model(card: ModelCard, options: Options) -> dict[str, str]:
    """Say which model was evaluated, and how it segmented.

    Parameters
    ----------
    card : ModelCard
    options : Options

    Returns
    -------
    dict from str to str
    """
    count = card.training.get("radiographs")
    return {
        "model": card.name,
        "weights (SHA-256)": card.weights_sha256,
        "trained": card.date
        if not count
        else f"{card.date}, on {several(count, 'radiograph')}: numbers of those would be too good",
        "working image": f"{options.size_px or card.preprocessing.size_px} px",
        "polarity": options.polarity,
        "post-processing": str(options),
        "evaluated": datetime.date.today().isoformat(),
    }
