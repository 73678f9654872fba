"""Who may talk: tokens from the settings ({B}_JOB_SERVER_TOKEN, {B}_CLIENT_TOKENS) and from the Token table."""


def agent_token_is_valid(backend: str, token: str) -> bool:
    """True when this raw token belongs to the agent of this backend. Compared in constant time."""
    raise NotImplementedError


def backends_of_client_token(token: str) -> list[str]:
    """Sorted slugs of the backends a client of the RAP API may use with this raw token; empty when it is not valid."""
    raise NotImplementedError
