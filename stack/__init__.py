"""A whole Franking on one machine, under one directory, for `script/up` and for the tests.

`python -m stack` prepares a directory (settings, certificate, database, a private Postfix), lets
circus run every process of DESIGN §1 plus a sink that plays the rest of the Internet, waits until
all of them answer, and stops what it started when it is stopped.  It listens on 127.0.0.1 only
and never reads or writes /etc/postfix or /var/spool/postfix.
"""


class StackError(Exception):
    """The stack cannot be started or stopped; the text says what to do about it."""
