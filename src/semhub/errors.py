"""Everything semhub raises on purpose. A message says what was wrong, where, and what to do."""

from __future__ import annotations


class SemhubError(Exception):
    """The root: the command line prints it as one line and exits with 2."""


class UsageError(SemhubError):
    """The call itself is wrong: an unknown name, an option out of range, options that exclude each other."""


class DataError(SemhubError):
    """A data file is missing, empty or malformed; the message names the file and the line."""


class ModelError(SemhubError):
    """A model cannot be loaded or is not one that this instrument can read."""


class SelfCheckError(ModelError):
    """A loaded model failed a self-check; the message names the check and its deviation."""


class RunFolderError(SemhubError):
    """The output folder is unwritable, full, or belongs to another run."""
