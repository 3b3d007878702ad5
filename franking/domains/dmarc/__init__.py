"""DMARC: the record, its stages from none to reject, and receivers' reports."""
