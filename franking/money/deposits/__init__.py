"""Money that comes in: by hand, by Stripe, by BTCPay Server."""
