"""Currents: of packets, of densities in time, and of the occupied states of a band structure."""
