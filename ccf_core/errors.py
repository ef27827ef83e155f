"""What can go wrong in this package and be mended by the caller; every message says how."""


class CCFError(RuntimeError):
    """Root of the errors of ``ccf_core``."""


class MemoryMismatch(CCFError):
    """A memory was made by another base, adapter, tokenizer, segment length or mask than the one that would read it."""


class DamagedMemory(CCFError):
    """The bytes of a memory are not what their layout says they must be."""


class AdapterError(CCFError):
    """An adapter folder is missing, incomplete or does not fit the base model."""


class AdapterNeeded(CCFError):
    """What was asked for is learned by training: a base alone cannot do it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs a trained adapter, and this base is used without one: name an adapter of this base, or "
            "train one with `ccf train`."
        )


class OutOfMemory(CCFError):
    """There is less free memory than the work needs."""


class BudgetTooSmall(CCFError):
    """A budget of cache does not hold a memory, even at its coarsest ratio, and the text that is to follow it."""


class HubError(CCFError):
    """What the model hub has, or what it was to be given, could not be taken."""


class NoSuchRepository(HubError):
    """The model hub has no repository of that name, or not that revision of it, or hides it."""


class AccessDenied(HubError):
    """A repository of the model hub is gated, or the token may not do what was asked."""


class HubUnreachable(HubError):
    """The model hub does not answer, or not as it should."""


class NotAnAdapter(HubError):
    """A repository of the model hub holds no adapter."""


class PickledWeights(HubError):
    """A repository of the model hub holds weights in a form that could run code as they are read."""


class NothingToCompress(CCFError):
    """The text holds no tokens."""


class Cancelled(CCFError):
    """The caller asked to stop; what was finished before is kept by whoever received it."""


class NoSuchPart(CCFError, IndexError):
    """A segment, slot, level, layer or head was named that the memory does not have."""


class WrongArgument(CCFError, ValueError):
    """A function was given something else than it takes."""


class BadRows(CCFError):
    """A file of rows of text or questions cannot be read, or a line of it cannot be used."""


class TrainingError(CCFError):
    """A training run cannot go as asked; the message says what to change."""
