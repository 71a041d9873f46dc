import napari

from napari_xnet import demo


def test_demo_opens_a_window_and_segments(make_napari_viewer, wait_until, monkeypatch):
    """`napari.run` is where a person looks at the window; here, a test does."""
    viewer = make_napari_viewer(show=True)
    monkeypatch.setattr(napari, "Viewer", lambda title: viewer)
    monkeypatch.setattr(napari, "run", lambda: wait_until(lambda: "hand_labels" in viewer.layers))

    assert demo.why_no_window() is None
    demo.show()
    assert viewer.layers["hand_labels"].data.min() == 1
    assert any("Segment radiograph" in name for name in viewer.window.dock_widgets)
