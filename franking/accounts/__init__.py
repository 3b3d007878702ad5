"""Who may do what: accounts, the people who log in, SMTP credentials, the audit trail."""
