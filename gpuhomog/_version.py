"""Version of the package; pyproject.toml states the same, and a test compares them."""

__version__ = "0.1.0"

SCHEMA_FORMAT, SCHEMA_VERSION = "gpuhomog", 1
"""What the files that this package writes say of themselves, and the version of their layout."""
