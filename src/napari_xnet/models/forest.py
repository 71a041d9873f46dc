"""A random forest as plain arrays: what painted strokes add to a network."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_xnet import tissue
from napari_xnet.errors import ModelError

_CLASSES = len(tissue.CLASSES)
_DEEPEST = 200
"""Steps from the root of a tree to a leaf; learned ones have a tenth of it."""
_CHUNK = 2**14
"""Pixels that go through all trees together: so many stay in the cache of a processor."""


class ForestShape(BaseModel):
    """How large a forest is, in a model card; and the SHA-256 of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trees: int = Field(ge=1, le=200)
    nodes: int = Field(ge=1, le=20_000, description="Of the largest tree.")
    features: int = Field(ge=1, le=5000, description="Of each pixel, see `pixel_features`.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def largest_bytes(self) -> int:
        """More than a forest of this shape takes as a file."""
        return 40 * self.trees * self.nodes + 2**20


@dataclass(frozen=True, eq=False)
class Forest:
    """Decision trees over the features of a pixel.

    Attributes
    ----------
    features : int
        How many a pixel has.
    feature : ndarray of int32, shape (trees, nodes)
        The one that a node asks for.
    threshold : ndarray of float64, shape (trees, nodes)
        Up to here a pixel goes to the left.
    left, right : ndarray of int32, shape (trees, nodes)
        Next nodes, farther back than the node; of a leaf the node itself.
    probabilities : ndarray of float32, shape (trees, nodes, 3)
        Of the classes, at leaves.
    """

    features: int
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    @classmethod
    def of(cls, trees: Sequence[Any], classes: Sequence[int]) -> Self:
        """Take the trees of a forest of scikit-learn.

        Parameters
        ----------
        trees : sequence of sklearn.tree._tree.Tree
            ``tree_`` of each of its ``estimators_``.
        classes : sequence of int
            Indices of the classes it knows.
        """
        nodes = max(tree.node_count for tree in trees)
        shape = (len(trees), nodes)
        own = np.broadcast_to(np.arange(nodes, dtype=np.int32), shape)
        result = cls(
            int(trees[0].n_features),
            np.zeros(shape, np.int32),
            np.zeros(shape),
            own.copy(),
            own.copy(),
            np.zeros((*shape, _CLASSES), np.float32),
        )
        for number, tree in enumerate(trees):
            inner = np.flatnonzero(tree.children_left >= 0)
            result.feature[number, inner] = tree.feature[inner]
            result.threshold[number, inner] = tree.threshold[inner]
            result.left[number, inner] = tree.children_left[inner]
            result.right[number, inner] = tree.children_right[inner]
            known = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
            result.probabilities[number, : tree.node_count, list(classes)] = known.T
        return result

    def predict(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean of what the trees say.

        Parameters
        ----------
        pixels : ndarray of float32, shape (N, features)

        Returns
        -------
        ndarray of float32, shape (N, 3)
        """
        result = np.zeros((len(pixels), _CLASSES), np.float32)
        depths = self._depths()
        for start in range(0, len(pixels), _CHUNK):
            chunk = np.ascontiguousarray(pixels[start : start + _CHUNK])
            flat = chunk.reshape(-1)
            first = np.arange(len(chunk)) * self.features
            total = result[start : start + _CHUNK]
            for number, depth in enumerate(depths):
                node = np.zeros(len(chunk), np.int32)
                for _ in range(depth):
                    value = flat[first + self.feature[number][node]]
                    goes_left = value <= self.threshold[number][node]
                    node = np.where(goes_left, self.left[number][node], self.right[number][node])
                total += self.probabilities[number][node]
        result /= len(depths)
        return result

    def to_bytes(self) -> bytes:
        """Serialise as a safetensors file."""
        return bytes(save({name: np.ascontiguousarray(one) for name, one in self._arrays()}))

    def shape(self, data: bytes) -> ForestShape:
        """Describe the forest that `to_bytes` made the data of."""
        trees, nodes = self.feature.shape
        digest = hashlib.sha256(data).hexdigest()
        return ForestShape(trees=trees, nodes=nodes, features=self.features, sha256=digest)

    @classmethod
    def load(cls, path: Path, shape: ForestShape) -> Self:
        """Read a forest; nothing is allocated that its shape does not allow.

        Raises
        ------
        ModelError
            If the file is damaged, or its trees are none.
        """
        grid = (shape.trees, shape.nodes)
        wanted: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            "feature": (grid, np.int32),
            "threshold": (grid, np.float64),
            "left": (grid, np.int32),
            "right": (grid, np.int32),
            "probabilities": ((*grid, _CLASSES), np.float32),
        }
        try:
            with safe_open(path, framework="numpy") as file:
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
                if shapes != {name: size for name, (size, _) in wanted.items()}:
                    raise ModelError(f"{path} is not the classifier that the card describes.")
                arrays = {name: file.get_tensor(name) for name in wanted}
        # NumPy does not know all types of numbers that such a file may have.
        except (OSError, SafetensorError, TypeError, AttributeError) as error:
            raise ModelError(f"{path} cannot be read: {error}.") from error
        if any(arrays[name].dtype != kind for name, (_, kind) in wanted.items()):
            raise ModelError(f"{path} is not the classifier that the card describes.")
        forest = cls(shape.features, **arrays)
        if not forest._is_sound():
            raise ModelError(f"{path} is damaged: its trees lead nowhere.")
        return forest

    def _arrays(self) -> list[tuple[str, NDArray[Any]]]:
        names = ("feature", "threshold", "left", "right", "probabilities")
        return [(name, getattr(self, name)) for name in names]

    def _is_sound(self) -> bool:
        own = np.arange(self.feature.shape[1])
        nexts = np.stack([self.left, self.right])
        leaf = (nexts == own).all(axis=0)
        leads_on = ((nexts > own) & (nexts < len(own))).all(axis=0)
        return (
            bool(
                (leaf | leads_on).all()
                and (self.feature >= 0).all()
                and (self.feature < self.features).all()
                and (self.probabilities >= 0).all()
                and (self.probabilities <= 1).all()
            )
            and max(self._depths()) <= _DEEPEST
        )

    def _depths(self) -> list[int]:
        """Count the steps to the farthest leaf of each tree."""
        trees, nodes = self.feature.shape
        steps = np.zeros((trees, nodes), np.int64)
        every = np.arange(trees)
        for node in range(nodes):
            for child in (self.left[:, node], self.right[:, node]):
                inner = child != node
                steps[every[inner], child[inner]] = steps[inner, node] + 1
        # What is not reached from the root has no steps of its own.
        return [int(one) for one in steps.max(axis=1)]
