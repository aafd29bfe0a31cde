"""Checks that each installed distribution is under a licence that this project may be used and shipped with."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions

from embedded.superset import Environment

# SPDX identifiers. Permissive licences, and two that ask for the sources of their own files only: MPL (certifi,
# hypothesis, pathspec, tqdm) and LGPL (psycopg2, paramiko, pyxlsb: libraries that anyone may replace).
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU"),
    *("PSF-2.0", "Unlicense", "Zlib"),
    *("MPL-2.0", "LGPL-2.1", "LGPL-3.0-or-later"),
}
# What distributions without an SPDX expression call those licences.
NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Simplified BSD": "BSD-2-Clause",
    "The Unlicense (Unlicense)": "Unlicense",
}
# Read in the distribution's own files, because its metadata do not tell. odfpy names Apache and GPL side by side, in
# some files LGPL alone; only Superset's process loads it, and we ship none of it.
READ = {"apsw": "Zlib", "odfpy": "Apache-2.0 AND LGPL-2.1", "polyline": "MIT"}


def licence(distribution: Distribution) -> str:
    """Its licence as an SPDX expression, as far as its metadata tell it; else the words that they use, or nothing."""
    metadata = distribution.metadata
    if distribution.name in READ:
        return READ[distribution.name]
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [value for value in metadata.get_all("Classifier") or () if value.startswith("License ::")]
    named = [value.rsplit(" :: ", 1)[-1] for value in classifiers if not value.endswith(":: OSI Approved")]
    # Some put the text of the licence here, beginning with its name.
    (text,) = metadata.get_all("License") or ("",)
    first_line = text.strip().split("\n", 1)[0]
    return " AND ".join(NAMES.get(name, name) for name in named or [first_line] if name)


def allowed(expression: str) -> bool:
    """Whether an SPDX expression can be kept with allowed licences alone.

    ``OR`` is a choice; in parentheses it is taken for ``AND``, which refuses rather too much.
    """
    choices = [expression] if "(" in expression else expression.split(" OR ")
    return any(all(name in ALLOWED for name in re.findall(r"[^()\s]+", _bare(choice))) for choice in choices)


def _bare(expression: str) -> str:
    return re.sub(r"\b(AND|OR)\b", " ", expression)


def refused(folders: Sequence[str]) -> list[str]:
    """A line for each distribution in these folders whose licence is not allowed."""
    found = {one.name: licence(one) for one in distributions(path=list(folders))}
    return [
        f"{name} is under {text or 'no licence that its metadata name'}; expected one of {', '.join(sorted(ALLOWED))}"
        for name, text in sorted(found.items())
        if not text or not allowed(text)
    ]


def main() -> int:
    """Print what is not allowed in this environment, and in Superset's where it is installed; 1 if there is any."""
    superset = [str(folder) for folder in Environment(print).path.glob("lib/python*/site-packages")]
    lines = refused(sys.path) + (refused(superset) if superset else [])
    for line in lines:
        print(line)
    checked = "of this environment" + (" and of Superset's" if superset else "; Superset is not installed")
    print(f"licences {checked}: {len(lines)} not allowed")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
