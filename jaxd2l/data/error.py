"""The one error of bad data: a file, a table or an array is not what it claims to be."""


class DataError(ValueError):
    """Data is not what it claims: damaged, truncated, of the wrong type or out of range.

    The message is one line: what was found, what was expected, what to do.
    The command line ends with exit code 65 (`EX_DATAERR`) on it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # names and values out of a file may hold line breaks
