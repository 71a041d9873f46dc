"""Words of messages and reports."""


def duration(seconds: float) -> str:
    """Say how long something takes: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def several(count: int, noun: str) -> str:
    """Say how many there are: ``1 image``, ``1,000 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
