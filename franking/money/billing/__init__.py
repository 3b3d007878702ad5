"""What an account has chosen about its money: caps, alerts, automatic top-up, invoice address."""
