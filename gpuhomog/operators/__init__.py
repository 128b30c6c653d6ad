"""Operators: from fields and profiles to results, one folder per family of the theory."""
