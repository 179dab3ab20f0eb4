"""What can go wrong, by who can do something about it."""


class CellwrightError(Exception):
    """Root of every error that Cellwright raises on purpose."""


class InputError(CellwrightError):
    """The user's file or argument is wrong: one clear line, exit code 2, nothing written."""


class WeightsError(CellwrightError):
    """Model weights are missing, damaged or cannot be fetched."""


class ToolError(CellwrightError):
    """A tool cannot do what was asked in this way; the message says which way would work.

    It is the only error whose text a language model sees.
    """


class RefusedError(ToolError):
    """A tool's applicability gate says no.

    Attributes:
        reason: What was found, against what is needed.
        alternative: What can be done instead; empty when nothing can.
    """

    def __init__(self, reason: str, alternative: str = "") -> None:
        super().__init__(f"{reason} {alternative}".strip())
        self.reason = reason
        self.alternative = alternative


class ReportError(CellwrightError):
    """A report claims something that no artifact backs; it is not rendered."""
