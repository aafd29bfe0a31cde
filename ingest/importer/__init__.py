"""The importer: files of records to the feeds' topics, each line once, however often an import is killed and repeated.

| representation | made by |
|---|---|
| **files** of a folder or bucket that wait | ``places.py`` |
| **content**: its bytes, inflated; hash, size and format | ``contents.py`` |
| **cells** of many lines as columns; lines that need more are read one by one | ``readers.py``, ``cutting.py`` |
| **cells** of call detail records, by their ASN.1 module | ``call_records.py``, ``asn1.py`` |
| **documents**: the feed's JSON with an id that is the same on every re-run | ``mapping.py``, ``ids.py`` |
| **blocks**: what of them is accepted, judged by the parser of the stream | ``blocks.py``, ``ingest/judging.py`` |
| **transactions** of a second of blocks, by a thread of their own | ``sending.py`` |
| **resume point** after each of them, committed with them | ``transactions.py``, ``resume.py`` |
| **manifest**: how far each file is, noted after the commit | ``manifest.py`` |

``importing.py`` brings one file from start to end, under a lease; ``runs.py`` all files that wait.
"""
