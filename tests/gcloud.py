"""A program gcloud that records how it was called and answers as a test says, in the words of the real one."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

NO_LOGIN = """ERROR: (gcloud.storage.cp) You do not currently have an active account selected.
Please run:

  $ gcloud auth login

to obtain new credentials."""
EXISTS = (
    "ERROR: (gcloud.dataproc.batches.submit.pyspark) ALREADY_EXISTS: Already exists: Failed to create batch: "
    "Batch projects/p/locations/europe-west1/batches/b"
)
NO_BUCKET = "ERROR: (gcloud.storage.cp) gs://code not found: 404."
NOT_ALLOWED = (
    "ERROR: (gcloud.storage.buckets.describe) [ann@example.com] does not have permission to access b instance [history] "
    "(or it may not exist): ann@example.com does not have storage.buckets.get access to the Google Cloud Storage bucket."
)
NO_CLUSTER = "ERROR: (gcloud.dataproc.clusters.describe) NOT_FOUND: Not found: Cluster projects/p/regions/europe-west1/clusters/c"
JOB_FAILED = """Waiting for job output...
bytemeter: PostgreSQL at db:5432 cannot be reached
ERROR: (gcloud.dataproc.jobs.submit.pyspark) Job [bytemeter-hourly] failed with error:
Google Cloud Dataproc Agent reports job failure."""

_PROGRAM = """#!{python} -IS
import json, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for part, code, printed, error in json.loads((folder / "answers").read_text()):
    if part in " ".join(sys.argv[1:]):
        print(printed, end="")
        print(error, file=sys.stderr)
        sys.exit(code)
"""


@dataclass(frozen=True)
class Gcloud:
    """The program, in a folder that is meant for the PATH.

    Attributes:
        folder: has the program alone; beside it are its answers and the calls that it has seen.
    """

    folder: Path

    @classmethod
    def installed(cls, root: Path) -> Gcloud:
        """Write the program, which does nothing and succeeds."""
        folder = root / "bin"
        folder.mkdir(parents=True)
        program = folder / "gcloud"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(root)))
        program.chmod(0o755)
        (root / "answers").write_text("[]")
        return cls(folder)

    def answer(self, part: str, *, error: str = "", code: int = 1, printed: str = "") -> None:
        """Answer calls whose arguments have this part, unless an earlier answer fits."""
        answers = self.folder.parent / "answers"
        answers.write_text(json.dumps([*json.loads(answers.read_text()), (part, code, printed, error)]))

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call."""
        calls = self.folder.parent / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
