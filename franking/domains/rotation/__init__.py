"""DKIM keys take turns: a new one signs once everybody sees it, the old record stays a while."""
