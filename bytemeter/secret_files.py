"""Files that hold a secret, such as a password: read once, and refused where all users of the machine may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import SecretStr

_MOST_BYTES = 65_536


def read_private(path: Path, most_bytes: int = _MOST_BYTES) -> str:
    """The text of a file that only its owner and its group may read.

    Raises:
        ValueError: the file cannot be read, is not a text, or all users of the machine may read or write it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(most_bytes).decode()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}; name a file that holds the secret") from None
    except UnicodeDecodeError:
        raise ValueError(f"{str(path)!r} is not a text in UTF-8; write the secret into it anew") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError(f"{str(path)!r} is open to all users of this machine; run `chmod o-rw {path}`")
    return text


def read_secret(path: Path) -> SecretStr:
    """The only line of a file, without its end of line.

    Raises:
        ValueError: see ``read_private``; or the file is empty, or has more than one line.
    """
    secret = read_private(path).removesuffix("\n").removesuffix("\r")
    if not secret.strip():
        raise ValueError(f"{str(path)!r} is empty; write the secret into it")
    if "\n" in secret or "\0" in secret:
        raise ValueError(f"{str(path)!r} has more than one line; it may hold the secret only")
    return SecretStr(secret)
