from . import networks as networks
from ._version import __version__ as __version__
from .evaluation import Report as Report
from .evaluation import evaluate as evaluate
from .inference import Options as Options
from .inference import Segmentation as Segmentation
from .inference import segment as segment
from .models import Model as Model
from .models import list_models as list_models
from .models import load_model as load_model
from .training import Pair as Pair
from .training import TrainingConfig as TrainingConfig
from .training import train as train

__all__ = [
    "Model",
    "Options",
    "Pair",
    "Report",
    "Segmentation",
    "TrainingConfig",
    "__version__",
    "evaluate",
    "list_models",
    "load_model",
    "networks",
    "segment",
    "train",
]
