"""Reads the mail that other servers send to mailboxes of ours."""
