"""Host names: whether name servers know them."""

from __future__ import annotations

import socket

# EAI_NODATA, where the C library has it: the name exists, but has no address.
_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def is_unknown(host: str) -> bool:
    """Whether name servers say that the host does not exist; a name server that does not answer says nothing."""
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        return error.errno in _UNKNOWN
    return False
