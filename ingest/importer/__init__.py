"""The importer: files of records to the feeds' topics, each line once, however often an import is killed and repeated.

| representation | made by |
|---|---|
| **files** of a folder or bucket that wait | ``places.py`` |
| **content**: its bytes, inflated; hash, size and format | ``contents.py`` |
| **rows**: line number, and cells or JSON, a few thousand at a time | ``readers.py`` |
| **documents**: the feed's JSON with an id that is the same on every re-run | ``mapping.py``, ``ids.py`` |
| **judged** documents, by the parser of the stream | ``ingest/judging.py`` |
| **acknowledged** messages, with their offsets | ``sending.py`` |
| **manifest**: how far each file is, noted after the acknowledgement | ``manifest.py`` |

``importing.py`` brings one file from start to end, under a lease; ``runs.py`` all files that wait.
"""
