"""Why a source of archives or a warehouse cannot be used. Each message says what to do; nothing was lost."""


class SourceFault(Exception):
    """The source cannot be used (infrastructure or settings); the message says what to do. Nothing was lost."""


class Unavailable(SourceFault):
    """Did not answer, after several attempts: try again later."""


class AccessRefused(SourceFault):
    """Credentials are missing, wrong or expired, or do not allow this."""


class Forbidden(AccessRefused):
    """The credentials are good, and do not allow this: of one object, it may be that object alone."""


class InvalidName(SourceFault):
    """No bucket, object or queue can have such a name."""


class WarehouseFault(Exception):
    """The warehouse cannot be used: its address is none, it cannot be reached, or it refuses us."""
