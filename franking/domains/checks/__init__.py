"""Are a domain's records published, and if not, what is wrong with them?

`check` asks and says; `faults` has every sentence; a file per kind of record judges what is there
(`ownership`, `dkim`, `alias`, `spf`, `dmarc`), `missing` looks for what is not.
"""

from franking.domains.checks.check import check
from franking.domains.checks.finding import Finding, Status
from franking.domains.checks.scene import Others

__all__ = ["Finding", "Others", "Status", "check"]
