"""Excesses of surfaces, interfaces, edges and corners, and the moments of the bulk that belong to them."""
