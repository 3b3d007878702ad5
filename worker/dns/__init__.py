"""`franking-worker dns`: what is seen of domains' DNS records, and what follows."""
