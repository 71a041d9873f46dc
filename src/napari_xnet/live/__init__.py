"""Segmentation that follows the brush: strokes teach a classifier over a network's features."""
