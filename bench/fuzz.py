"""`make fuzz`: atheris looks for a message that the reader of bounces stumbles over.

It begins with the corpus and follows the branches that its changes reach.  What must hold, is in
`tests/worker/inbound/test_hostile.py`: it is read or refused, what is kept is bounded and harmless,
and the process has at most 50 MB more than at the beginning.  Arguments are libFuzzer's
(`-max_total_time=60`); what fails is left behind as `crash-…`, and read again by naming it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["worker", "franking.mail"]):
    from tests.worker.inbound.test_hostile import CORPUS, MOST_MEMORY, check

MINUTES = 10


def memory() -> int:
    """The most that this process ever had, in octets."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    for data in CORPUS:
        check(data)
    before = memory()

    def one(data: bytes) -> None:
        check(data)
        assert memory() - before < MOST_MEMORY, "more memory than it may have"

    with tempfile.TemporaryDirectory() as seeds:
        for number, data in enumerate(CORPUS):
            (Path(seeds) / f"{number:04}").write_bytes(data)
        limits = [f"-max_total_time={60 * MINUTES}", "-max_len=40000", "-timeout=20"]
        found = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        atheris.Setup([sys.argv[0], *limits, *sys.argv[1:], *([] if found else [seeds])], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
