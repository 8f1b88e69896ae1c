"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#767676"
PALE = "#F2F2F2"

# Inches; every figure is drawn for a page of this width.
WIDTH = 9.0
