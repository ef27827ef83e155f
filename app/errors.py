"""What a user of the use cases can do wrong; every message is one sentence that says what to do.

Errors of ``app.parsers``, ``store`` and ``ccf_core`` pass through the use cases with their own sentences.
"""

from __future__ import annotations


class WorkbenchError(RuntimeError):
    """Root of the errors of the use cases."""


class BadSetting(WorkbenchError):
    """A setting from the environment or the command line cannot be used."""


class ModelNotReady(WorkbenchError):
    """The model could not be loaded, for a reason that is not the adapter's or the base's own."""


class GPUTakenBack(WorkbenchError):
    """A GPU that was lent by the call was gone before the work was done."""


class UnknownAdapter(WorkbenchError):
    """There is no such adapter folder to choose."""


class NoDocument(WorkbenchError):
    """A question was asked, but of no document."""


class DocumentTooLong(WorkbenchError):
    """The document has more tokens than ``Settings.max_tokens``."""


class LibraryFull(WorkbenchError):
    """A visitor of a demo has as much as one may keep."""


class DemoFull(WorkbenchError):
    """A demo has as many visitors as it may have."""


class Busy(WorkbenchError):
    """A visitor of a demo waits for the model so often already that one more request is refused."""


class UnknownVisitor(WorkbenchError):
    """A token names no visitor of the demo, or no longer."""


class NotInDemo(WorkbenchError):
    """What would reach other visitors, or take too much of the machine, is off in a demo."""


class NotAnswerable(WorkbenchError):
    """The question, the ratio or the reader cannot be used with these documents."""


class NoSegment(WorkbenchError):
    """The document has no segment of that number."""


class CannotEvaluate(WorkbenchError):
    """An evaluation cannot run as asked."""


class CannotExport(WorkbenchError):
    """The file cannot be written there."""


class NothingIngested(WorkbenchError):
    """A folder holds nothing that could be taken in."""


class ProcessFailed(WorkbenchError):
    """Of the processes of one launch, another one failed or is gone."""
