"""Small parts that several docks are made of."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, Label, PushButton
from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari import Viewer

_OURS = "napari_xnet"
_LAID_OUT_MS = 50
_LEAST_HEIGHT_PX = 120
_SHORTEST_NAME = 12
"""Letters of a choice that can be seen in any case."""


class Lifetime:
    """Knows whether a Qt widget still exists, for what may call it later.

    Parameters
    ----------
    widget : QWidget
    at_end : callable, optional
        Called when Qt deletes the widget; must not touch it.
    """

    # A widget's own methods are disconnected before Qt says that it is destroyed.

    def __init__(self, widget: QWidget, at_end: Callable[[], None] | None = None) -> None:
        self.ended = False
        self._at_end = at_end
        widget.destroyed.connect(self._end)

    def _end(self) -> None:
        self.ended = True
        if self._at_end:
            self._at_end()


def row(*widgets: Any, label: str = " ") -> Container[Any]:
    """Put widgets side by side behind one label."""
    container = Container(widgets=widgets, layout="horizontal", labels=False, label=label)
    container.margins = (0, 0, 0, 0)
    return container


class ScrolledDock(QScrollArea):
    """A dock whose parts keep their height, and scroll where there is no room for all.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def put(self, *parts: QWidget) -> None:
        """Put parts below each other."""
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in parts:
            layout.addWidget(part)
        layout.addStretch(1)
        self.setWidget(content)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As wide and high as the parts."""
        content = self.widget()
        return content.sizeHint() if content else super().sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """As wide as the parts need, and a little of their height."""
        content = self.widget()
        width = content.minimumSizeHint().width() if content else 0
        return QSize(width + self.verticalScrollBar().sizeHint().width(), _LEAST_HEIGHT_PX)


class Fold(PushButton):
    """A line that shows and hides the widgets below it.

    Parameters
    ----------
    name, title, tooltip : str
    folded : sequence of widget
    """

    def __init__(self, name: str, title: str, folded: Sequence[Any], tooltip: str = "") -> None:
        super().__init__(name=name, tooltip=tooltip)
        self.native.setCheckable(True)
        self.native.setStyleSheet("text-align: left; background: transparent;")
        self._title = title
        self._folded = folded
        self._note = ""
        self.changed.connect(self.show_fold)
        self.show_fold()

    def note(self, text: str) -> None:
        """Say something beside the title."""
        self._note = text
        self._write()

    def show_fold(self) -> None:
        """Show or hide what is below."""
        for widget in self._folded:
            widget.visible = self.value
        self._write()

    def _write(self) -> None:
        self.text = f"{'▾' if self.value else '▸'}  {self._title}{self._note}"


def lay_out(form: Container[Any]) -> None:
    """Align the fields of a form, and let long names of layers ask for no wider dock."""
    for box in form.native.findChildren(QComboBox):
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(_SHORTEST_NAME)
    life = Lifetime(form.native)
    # How wide a text is, is known once napari has styled the dock.
    QTimer.singleShot(0, lambda: None if life.ended else _align(form))


def _align(form: Container[Any]) -> None:
    labels = []
    for field in form:
        parts = field.native.parentWidget().layout()
        label = parts.itemAt(0).widget() if parts and parts.count() else None
        if isinstance(label, QLabel) and label is not field.native:
            labels.append(label)
    widest = max((label.sizeHint().width() for label in labels), default=0)
    for label in labels:
        label.setMinimumWidth(widest)


def text_line(name: str, lines: int = 1) -> Label:
    """Make a line of text that wraps, and never asks for a wider dock.

    Parameters
    ----------
    name : str
    lines : int
        So many have room without moving what is below.
    """
    line = Label(name=name, label=" ", value="")
    line.native.setWordWrap(True)
    line.native.setMinimumHeight(lines * line.native.fontMetrics().lineSpacing())
    line.native.setAlignment(Qt.AlignmentFlag.AlignTop)
    line.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return line


def keep_place(widget: QWidget) -> None:
    """Let what is below stay where it is while a widget is hidden."""
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)


def give_room(widget: QWidget) -> None:
    """Soon, put the dock of a widget behind tabs with our others, if they are too high together."""
    widget.setProperty(_OURS, True)
    life = Lifetime(widget)
    QTimer.singleShot(0, lambda: None if life.ended else _tabify(widget))


def _tabify(widget: QWidget) -> None:
    dock = _dock_of(widget)
    window = dock.parent() if dock else None
    if dock is None or not isinstance(window, QMainWindow) or dock.isFloating():
        return
    area = window.dockWidgetArea(dock)
    others = [
        (other, part)
        for part in window.findChildren(QWidget)
        if part is not widget
        and part.property(_OURS)
        and (other := _dock_of(part)) is not None
        and other.isVisible()
        and not other.isFloating()
        and window.dockWidgetArea(other) == area
    ]
    needed = sum(one.sizeHint().height() for one in (widget, *(part for _, part in others)))
    if others and needed > window.centralWidget().height():
        window.tabifyDockWidget(others[-1][0], dock)
        life = Lifetime(dock)
        # Qt brings the tab to the front only once it has been laid out.
        QTimer.singleShot(_LAID_OUT_MS, lambda: None if life.ended else dock.raise_())


def _dock_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent


def keep_wheel_for_scrolling(widget: QWidget) -> None:
    """Let the wheel scroll the dock, and change a value only where the user has clicked."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_WheelFilter(widget))


class _WheelFilter(QObject):
    def eventFilter(self, watched: QWidget, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False
