"""Point charges, and frames of trajectories."""
