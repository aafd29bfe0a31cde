"""Installs a lock into a virtual environment, each file checked against its hash: by uv, else by pip.

``make install`` runs this module before anything is installed, so it needs the standard library only.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bytemeter.errors import BytemeterError

_HERE = Path(__file__).parent
# Beside the packages in a checkout, inside ``embedded`` once installed.
LOCKS = _HERE / "requirements" if (_HERE / "requirements").is_dir() else _HERE.parent / "requirements"
# Runs a command with these variables added to the environment; raises BytemeterError if it fails.
Run = Callable[[Sequence[str], Mapping[str, str]], None]
Notify = Callable[[str], None]

# uv does not read pip's settings. These variables hand pip's index, certificates, proxy and time-out on to uv.
_UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
# To pip all indexes are one. Hashes say which file is meant, wherever it comes from.
_LIKE_PIP = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_PYTHON_DOWNLOADS": "never"}


def install(python: str, locks: Sequence[Path], run: Run, notify: Notify, *, project: Path | None = None) -> None:
    """Install all that locks name, and a project in editable form.

    What a later lock names replaces what an earlier one has installed.

    pip installs uv, uv installs the rest. Where uv is not to be had, or fails, pip installs the same lock, and
    ``notify`` is called with a line that says why. Sources are built with what ``build.txt`` names, and nothing else.

    Args:
        python: the interpreter of the virtual environment; it has pip.

    Raises:
        BytemeterError: from ``run``; pip failed, too.
    """
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    try:
        uv = [_uv(python, pip, run), "pip", "install", "--python", python]
        _install_by(uv, locks, project, run, uv_settings(python))
    except (BytemeterError, OSError) as error:
        notify(f"uv does not install ({error}); pip installs the same locks, more slowly")
        _install_by(pip, locks, project, run, {})


def uv_settings(python: str) -> dict[str, str]:
    """The variables by which uv takes the index, the certificates and the proxy of pip's settings.

    What the environment says to uv itself is left as it is.
    """
    listed = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found = dict(line.split("=", 1) for line in listed.stdout.splitlines() if "=" in line)
    settings = dict(_LIKE_PIP)
    # As pip reads them: the section of the command wins over the global one, the environment wins over both.
    for section in ("global.", "install.", ":env:."):
        for name, value in found.items():
            option = name.removeprefix(section).replace("_", "-")
            if name.startswith(section) and option in _UV_NAMES:
                separator = "," if option == "find-links" else " "
                settings[_UV_NAMES[option]] = separator.join(str(ast.literal_eval(value)).split())
    return {name: value for name, value in settings.items() if name not in os.environ}


def _uv(python: str, pip: Sequence[str], run: Run) -> str:
    """The path of uv: beside the running interpreter, else pip installs it into the environment."""
    programs = Path(python).parent
    if programs != Path(sys.executable).parent and (found := Path(sys.executable).with_name("uv")).exists():
        return str(found)
    run([*pip, "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCKS / "uv.txt")], {})
    return str(programs / "uv")


def _install_by(
    command: Sequence[str], locks: Sequence[Path], project: Path | None, run: Run, settings: Mapping[str, str]
) -> None:
    environment = {**settings, "DIST_EXTRA_CONFIG": str(LOCKS / "build.cfg")}
    # A lock names all that its packages need: nobody has to ask them, which for sources means to fetch them first.
    alone = [*command, "--no-build-isolation", "--no-deps"]
    for one in (LOCKS / "build.txt", *locks):
        run([*alone, "--require-hashes", "-r", str(one)], environment)
    if project:
        run([*alone, "--editable", str(project)], environment)


def main(argv: Sequence[str] | None = None) -> int:
    """Install locks into the environment of this interpreter; prints one line for each thing that went wrong."""
    parser = argparse.ArgumentParser(prog="python -m embedded.locked", description=main.__doc__)
    parser.add_argument("locks", type=Path, nargs="+", metavar="LOCK", help="for example requirements/dev.txt")
    parser.add_argument("--editable", type=Path, metavar="FOLDER", help="the project to install, too")
    chosen = parser.parse_args(argv)
    try:
        install(sys.executable, chosen.locks, quietly, _print, project=chosen.editable)
    except BytemeterError as error:
        _print(str(error))
        return 1
    return 0


def quietly(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command and show nothing of its output; if it fails, the last lines are the reason.

    Raises:
        BytemeterError: the command failed.
    """
    whole = {**os.environ, **environment}
    done = subprocess.run(command, env=whole, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise BytemeterError(f"{Path(command[0]).name} failed: {' '.join(lines[-2:])[:300] or 'it said nothing'}")


def _print(message: str) -> None:
    print(f"bytemeter: {message}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
