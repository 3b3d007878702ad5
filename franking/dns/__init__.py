"""Questions to the DNS: to a zone's own servers, and to resolvers as the Internet has them."""
