"""Are a domain's records published, and if not, what is wrong with them?"""
