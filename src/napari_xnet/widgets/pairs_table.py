"""The table of pairs in *Train XNet*: which labels go with which radiograph."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.qt.threading import thread_worker
from napari.utils.events import Event
from qtpy.QtCore import QModelIndex, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QStyledItemDelegate,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_xnet import tissue
from napari_xnet.widgets import layers, painted
from napari_xnet.widgets.painted import Amount, Painted
from napari_xnet.widgets.parts import Lifetime

if TYPE_CHECKING:
    from napari import Viewer

_IMAGE, _LABELS, _GROUP, _FIRST_CLASS = 0, 1, 2, 3
_NONE = "none"
_DEBOUNCE_MS = 300
_ROW_PX, _ROWS = 24, (3, 8)
_CLASS_PX, _GROUP_PX, _LABELS_PX = 36, 46, 52

_Amounts = dict[str, Amount | None]
"""By id of the layer; None where they cannot be counted."""

NO_IMAGE = "No image open: File > Open, or File > Open Sample > XNet."
NO_PAINT = "Nothing is painted: press New labels layer, choose a class with 1, 2, 3, and paint."


@dataclass(frozen=True, eq=False)
class Row:
    """A pair of layers that is to be trained on.

    Attributes
    ----------
    image : Image
    labels : Labels
    group : str
    """

    image: Image
    labels: Labels
    group: str


class PairsTable(QTableWidget):
    """Proposes a pair for each radiograph, lets the user change it, counts what is painted.

    Counting happens in a thread, a moment after the last stroke.

    Parameters
    ----------
    viewer : Viewer
    """

    changed = Signal()
    """The pairs, or what is painted in them, changed."""
    row_chosen = Signal()
    """The user went to another row."""
    stroke = Signal(object)
    """Something was painted, or undone, in this Labels layer, just now."""

    def __init__(self, viewer: "Viewer") -> None:
        super().__init__(0, _FIRST_CLASS + len(tissue.CLASSES))
        self._viewer = viewer
        self._images: list[Image] = []
        self._labels: dict[Image, Labels | None] = {}
        self._chosen: dict[str, str | None] = {}
        self._unused: set[str] = set()
        self._put_away: set[str] = set()
        """Layers that were hidden to show another radiograph alone."""
        self._amounts: _Amounts = {}
        self._stale: set[str] = set()
        self._points: dict[str, tuple[float, ...]] = {}
        self._changed_ones: set[str] = set()
        """Ids of layers that were painted, or got other data."""
        """By layer, where the sliders were when it was drawn last."""
        self._counting = False
        self._filling = False
        self._row_is_due = False
        self._following = False
        self._life = Lifetime(self)

        self._set_up_header()
        self.setItemDelegateForColumn(_LABELS, _LabelsDelegate(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.AllEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)

        self._refill_soon = self._timer(0, self._refill)
        self._count_soon = self._timer(_DEBOUNCE_MS, self._count)
        self.itemChanged.connect(self._on_item_changed)
        self.currentCellChanged.connect(self._on_row_chosen)
        events = viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_layers_changed)
        events.reordered.connect(self._on_layers_changed)
        events.renamed.connect(self._on_layers_changed)
        viewer.layers.selection.events.active.connect(self._on_layer_selected)
        for layer in viewer.layers:
            self._watch(layer)
        self._refill()

    def pairs(self) -> list[Row]:
        """Pairs that are ticked, in the order of the layers."""
        return [
            Row(image, labels, painted.group(labels))
            for image, labels in self._labels.items()
            if labels is not None and str(image.unique_id) not in self._unused
        ]

    def images(self) -> list[Image]:
        """Images of all rows."""
        return list(self._images)

    def current_image(self) -> Image | None:
        """Image of the selected row, or the only one."""
        if 0 <= self.currentRow() < len(self._images):
            return self._images[self.currentRow()]
        return self._images[-1] if self._images else None

    def labels_of(self, image: Image) -> Labels | None:
        """Labels layer of an image's row, unless it was just deleted."""
        layer = self._labels.get(image)
        return layer if layer in self._viewer.layers else None

    def image_of(self, layer: Any) -> Image | None:
        """Image of the row to which a layer belongs."""
        for image, labels in self._labels.items():
            # Not `is`: napari hands docks proxies of its layers.
            if layer is not None and layer in (image, labels):
                return image
        return None

    def choose(self, image: Image, labels: Labels | None) -> None:
        """Make a pair of an image and a Labels layer, as if the user had chosen it."""
        self._chosen[str(image.unique_id)] = str(labels.unique_id) if labels else None
        self._unused.discard(str(image.unique_id))
        self._refill()

    def fill_soon(self) -> None:
        """Show the pairs again, as something about them has changed."""
        self._refill_soon.start()

    def show_alone(self, image: Image) -> None:
        """Hide the other radiographs and all labels of theirs: one would paint on what is on top.

        In the grid they lie side by side and stay.
        """
        mine = [image, *(layer for layer in self._all_labels() if self._shows(layer, image))]
        if not self._viewer.canvas.grid.enabled:
            for other in self._images:
                for layer in (other, *self._all_labels()):
                    if layer not in mine and self._shows(layer, other) and layer.visible:
                        layer.visible = False
                        self._put_away.add(str(layer.unique_id))
        for layer in mine:
            if layer in (image, self._labels.get(image)) or str(layer.unique_id) in self._put_away:
                layer.visible = True
                self._put_away.discard(str(layer.unique_id))

    def _shows(self, layer: Any, image: Image) -> bool:
        """Whether a layer is an image, its labels, or what was predicted for it."""
        return layer in (image, self._labels.get(image)) or (
            isinstance(layer, Labels) and painted.paints(layer, image)
        )

    def advice(self) -> str:
        """Say what is missing, and what to do about it; "" if nothing is."""
        if not self._images:
            return NO_IMAGE
        amounts = [self._amounts.get(str(pair.labels.unique_id)) for pair in self.pairs()]
        if any(amount is None for amount in amounts):
            return ""  # they are being counted
        known = [amount for amount in amounts if amount is not None]
        missing = [
            one for one in tissue.CLASSES if not any(amount.pixels[one.value] for amount in known)
        ]
        if len(missing) == len(tissue.CLASSES):
            ticked = bool(known) or not any(self._labels.values())
            return NO_PAINT if ticked else "No pair is ticked: tick those to train on."
        if len(missing) > 1:
            only = next(one for one in tissue.CLASSES if one not in missing)
            names = " and ".join(f"{one.name} (key {one.value})" for one in missing)
            return f"Only {only.name} is painted: paint {names} too."
        for one in missing:
            return (
                f"No {one.name} is painted in any pair: paint some (key {one.value}), or the "
                "model will not know it."
            )
        for pair, amount in zip(self.pairs(), known, strict=True):
            if amount.other:
                return (
                    f'"{pair.labels.name}" has values that are no tissue class (1 to '
                    f"{tissue.CLASSES[-1].value}): untick it, or choose other labels."
                )
        return ""

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As high as its rows, within limits."""
        rows = min(max(self.rowCount(), _ROWS[0]), _ROWS[1])
        header = self.horizontalHeader().sizeHint().height()
        return QSize(300, header + rows * _ROW_PX + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Narrower than it likes to be: columns can be scrolled."""
        return QSize(200, self.sizeHint().height())

    def _set_up_header(self) -> None:
        names = ["Image", "Labels", "Group"]
        tips = [
            "Ticked: train on this pair.",
            "The Labels layer of the image. Click to choose another.",
            "Body part or the like, if you wish: training evens out groups. Click to write.",
        ]
        for column, (name, tip) in enumerate(zip(names, tips, strict=True)):
            item = QTableWidgetItem(name)
            item.setToolTip(tip)
            self.setHorizontalHeaderItem(column, item)
        for column, one in enumerate(tissue.CLASSES, _FIRST_CLASS):
            item = QTableWidgetItem(_square(one.color), str(one.value))
            item.setToolTip(f"Painted as {one.name} (key {one.value}), % of the radiograph.")
            self.setHorizontalHeaderItem(column, item)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(_IMAGE, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(_CLASS_PX)
        header.setHighlightSections(False)
        header.setIconSize(QSize(10, 10))
        self.setColumnWidth(_LABELS, _LABELS_PX)
        self.setColumnWidth(_GROUP, _GROUP_PX)
        for column in range(_FIRST_CLASS, self.columnCount()):
            self.setColumnWidth(column, _CLASS_PX)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_PX)

    def _timer(self, milliseconds: int, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(act)
        return timer

    def _all_labels(self) -> list[Labels]:
        return painted.lasting(self._viewer)

    def _refill(self) -> None:
        """Propose pairs again and show them."""
        if self._life.ended:
            return
        current = self.current_image()
        labels = self._all_labels()
        images = layers.radiograph_layers(self._viewer)
        proposed = painted.propose(images, labels, self._is_predicted)
        known = {str(layer.unique_id): layer for layer in labels}
        self._images = images
        self._labels = {}
        for image in images:
            chosen = self._chosen.get(str(image.unique_id), "")
            layer = proposed.get(image)
            if chosen is None:
                layer = None
            elif chosen in known and known[chosen] in painted.fitting(labels, image):
                layer = known[chosen]
            self._labels[image] = layer
        if self._row_is_due:
            self._row_is_due = False
            current = self.image_of(self._viewer.layers.selection.active) or current
        self._show(current)
        self._stale |= set(known) - set(self._amounts)
        if self._stale:
            self._count_soon.start()
        self.changed.emit()

    def _show(self, current: Image | None) -> None:
        self._filling = True
        try:
            if self.rowCount() != len(self._images):
                self.setRowCount(len(self._images))
                self.updateGeometry()
            names = _shortened([image.name for image in self._images])
            for row, (image, name) in enumerate(zip(self._images, names, strict=True)):
                self._show_row(row, name, image, self._labels[image])
            if current in self._images:
                self._go_to(current)
        finally:
            self._filling = False

    def _go_to(self, image: Image) -> None:
        row = self._images.index(image)
        if row != self.currentRow():
            self._following = True
            self.selectRow(row)
            self._following = False

    def _on_row_chosen(self, row: int, _: int, before: int, __: int) -> None:
        """Show the radiograph of a row that the user went to."""
        chosen = row != before and 0 <= row < len(self._images)
        if chosen and not (self._following or self._filling or self._life.ended):
            image = self._images[row]
            self.show_alone(image)
            self._viewer.layers.selection.active = self._labels.get(image) or image
            # Those of one size are compared more easily if the view stays.
            stays = 0 <= before < len(self._images) and _lie_alike(image, self._images[before])
            # Of images with fewer axes than others napari cannot find the extent.
            if not stays and image.ndim == self._viewer.dims.ndim:
                self._viewer.fit_to_view(layers=[image])
            self.row_chosen.emit()

    def _show_row(self, row: int, short_name: str, image: Image, layer: Labels | None) -> None:
        use = self._item(row, _IMAGE, short_name, image.name)
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        used = layer is not None and str(image.unique_id) not in self._unused
        use.setFlags(flags | Qt.ItemFlag.ItemIsUserCheckable if layer else flags)
        use.setCheckState(Qt.CheckState.Checked if used else Qt.CheckState.Unchecked)
        name = layer.name if layer else _NONE
        # The image's name stands beside it: there is room for what differs.
        short = name.removeprefix(image.name).lstrip("_") or name
        if layer and painted.accepted(layer).issuperset(layers.Radiographs.of(image).indices()):
            short, name = f"✓ {short}", f"{name}: accepted"
        self._item(row, _LABELS, short, f"{name}. Click to choose another.")
        group = self._item(row, _GROUP, painted.group(layer) if layer else "", "")
        group.setFlags(flags | Qt.ItemFlag.ItemIsEditable if layer else Qt.ItemFlag.NoItemFlags)
        amount = self._amounts.get(str(layer.unique_id)) if layer else None
        known = layer is not None and str(layer.unique_id) in self._amounts
        unknown = "" if layer is None else "?" if known else "…"
        for column, one in enumerate(tissue.CLASSES, _FIRST_CLASS):
            text = amount.percent(one.value) if amount else unknown
            tip = f"{one.name}: {text} %, {amount.pixels[one.value]} px" if amount else ""
            item = self._item(row, column, text, tip)
            item.setFlags(flags)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def _item(self, row: int, column: int, text: str, tip: str) -> QTableWidgetItem:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        item.setText(text)
        item.setToolTip(tip)
        return item

    def _is_predicted(self, layer: Labels) -> bool:
        amount = self._amounts.get(str(layer.unique_id))
        if amount is None:  # not counted yet
            return bool(Painted.of(layer).written) if layer.ndim > 1 else False
        return amount.predicted

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        if self._filling or item.row() >= len(self._images):
            return
        image = self._images[item.row()]
        if item.column() == _IMAGE:
            ticked = item.checkState() == Qt.CheckState.Checked
            (self._unused.discard if ticked else self._unused.add)(str(image.unique_id))
            self.changed.emit()
        elif item.column() == _GROUP and (layer := self._labels[image]) is not None:
            painted.set_group(layer, item.text().strip())
            self.changed.emit()

    def _watch(self, layer: Any) -> None:
        if isinstance(layer, Labels) and not painted.is_passing(layer):
            for event in (layer.events.paint, layer.events.set_data, layer.events.data):
                event.connect(self._on_painted)

    def _on_painted(self, event: Event) -> None:
        if self._life.ended:
            return
        layer_id, point = str(event.source.unique_id), tuple(self._viewer.dims.point)
        moved = self._points.get(layer_id, point) != point
        self._points[layer_id] = point
        if event.type != "set_data":
            self._changed_ones.add(layer_id)
        # Of "undo" napari only says that the layer is drawn anew, as it does for another slice,
        # or when the layer is shown again.
        if event.type != "set_data" or not moved:
            self._stale.add(layer_id)
            self._count_soon.start()
            if layer_id in self._changed_ones:
                self.stroke.emit(event.source)

    def _on_inserted(self, event: Event) -> None:
        self._watch(event.value)
        self._on_layers_changed()

    def _on_layers_changed(self) -> None:
        if not self._life.ended:
            self._refill_soon.start()

    def _on_layer_selected(self) -> None:
        if self._life.ended:
            return
        active = self._viewer.layers.selection.active
        image = self.image_of(active)
        # A layer that was just added has no row yet.
        self._row_is_due = image is None and active is not None
        if image is not None:
            self._go_to(image)

    def _count(self) -> None:
        """Count what changed since, in a thread; one at a time."""
        if self._counting or self._life.ended:
            return
        stale, self._stale = self._stale, set()
        wanted = {
            str(layer.unique_id): Painted.of(layer)
            for layer in self._all_labels()
            if str(layer.unique_id) in stale and layer.ndim > 1
        }
        if not wanted:
            return
        self._counting = True
        worker = _count_all(wanted, self._check)
        worker.returned.connect(self._on_counted)
        worker.start()

    def _check(self) -> None:
        if self._life.ended:
            raise RuntimeError("closed")

    def _on_counted(self, amounts: _Amounts) -> None:
        self._counting = False
        if self._life.ended:
            return
        self._amounts.update(amounts)
        self._refill()
        if self._stale:
            self._count_soon.start()


class _LabelsDelegate(QStyledItemDelegate):
    """Lets the user choose a Labels layer of the image's shape from a list."""

    def __init__(self, table: PairsTable) -> None:
        super().__init__(table)
        self._table = table

    def createEditor(  # noqa: N802 (Qt's name)
        self, parent: QWidget, option: Any, index: QModelIndex
    ) -> QComboBox:
        """Make the list, and open it."""
        combo = QComboBox(parent)
        image = self._table._images[index.row()]
        combo.addItem(_NONE, None)
        for layer in painted.fitting(self._table._all_labels(), image):
            combo.addItem(layer.name, layer)
        combo.activated.connect(functools.partial(self._choose, combo, image))
        QTimer.singleShot(0, combo.showPopup)
        return combo

    def setEditorData(self, editor: QComboBox, index: QModelIndex) -> None:  # noqa: N802
        """Show the layer that is chosen."""
        image = self._table._images[index.row()]
        editor.setCurrentIndex(max(0, editor.findData(self._table.labels_of(image))))

    def setModelData(self, editor: QComboBox, model: Any, index: QModelIndex) -> None:  # noqa: N802
        """Do nothing: `_choose` did."""

    def _choose(self, combo: QComboBox, image: Image, _: int) -> None:
        self.commitData.emit(combo)
        self.closeEditor.emit(combo)
        self._table.choose(image, combo.currentData())


def _lie_alike(image: Image, other: Image) -> bool:
    mine, its = image.extent.world, other.extent.world
    return mine.shape == its.shape and np.allclose(mine, its)


def _shortened(names: Sequence[str]) -> list[str]:
    """Names without the words at their beginning that all have: there is little room."""
    words = [re.findall(r"[^\W_]*[\W_]*", name) for name in names]
    alike = [len(set(column)) == 1 for column in zip(*words, strict=False)]
    shared = alike.index(False) if False in alike else 0
    return ["…" * bool(shared) + "".join(one[shared:]) for one in words]


@thread_worker
def _count_all(wanted: Mapping[str, Painted], check: Callable[[], None]) -> _Amounts:
    amounts: _Amounts = {}
    for layer_id, one in wanted.items():
        try:
            amounts[layer_id] = Amount.count(one, check)
        except Exception:
            amounts[layer_id] = None  # its file is gone, or memory ran out
    return amounts


def _square(color: str) -> QIcon:
    pixmap = QPixmap(10, 10)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)
