"""The accounting log: its files, and who may fetch them by SFTP."""

from webpanel.accounting import sftp  # its views are the blueprint's too
from webpanel.accounting.views import bp

__all__ = ["bp", "sftp"]
