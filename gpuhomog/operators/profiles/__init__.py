"""Profiles: averages over planes, their periods, their bulk."""
