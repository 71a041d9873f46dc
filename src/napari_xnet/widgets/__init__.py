"""The dock widgets: layers in, a request to the engine, layers out."""
