"""Potentials of charge: integrals over cylinders, what makes them up, and what surfaces add."""
