"""The report of an optimizer study."""
