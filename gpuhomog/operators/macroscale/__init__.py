"""Scales, and what is macroscopic on them: intervals, uncertainty."""
