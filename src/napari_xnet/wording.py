"""Words of messages and reports."""


def several(count: int, noun: str) -> str:
    """Say how many there are: ``1 image``, ``1,000 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
