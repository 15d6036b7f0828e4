"""Figures for papers, drawn by matplotlib: scores, trade-off, calibration, training, answers side by side."""
