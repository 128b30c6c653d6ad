"""Averages over three dimensions, and the ways to compute them."""
