"""Would the Internet take our mail?  The relay's own names and addresses, and a domain's."""
