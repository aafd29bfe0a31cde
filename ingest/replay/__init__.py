"""Failed messages are sent to their topic again once they are valid, e.g. after a schema was mended.

| representation | made by |
|---|---|
| **candidates**: positions of invalid messages of a stretch of time, not sent again yet | ``notes.py``, PostgreSQL |
| **messages** as they were received, of these positions | ``replaying.py``, the history of invalid messages |
| **judged** messages: valid by the present schemas, or still invalid | ``replaying.py``, the parser of the stream |
| **sent** messages: in a transaction of Kafka that also commits its number | ``sending.py`` |
| **noted** positions: with the number before they are sent, with the time after it | ``notes.py``, PostgreSQL |

Each message is sent once, whatever ends the command and however often it is run: the next run asks Kafka for the last
number, and notes what was sent under it.
"""
