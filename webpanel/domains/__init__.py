"""Sending domains: add, publish, follow, rotate keys, read DMARC reports, remove."""

from webpanel.domains import deliverability, dmarc, hosts, keys, looking, page, views
from webpanel.domains.about import bp

__all__ = ["bp", "deliverability", "dmarc", "hosts", "keys", "looking", "page", "views"]
