"""Stands before the pandas that only the tests need, in commands that are measured.

A user's installation has none, and pyarrow imports it where it is there, in every process that
makes an array.
"""

raise ModuleNotFoundError("not in a user's installation", name="pandas")
