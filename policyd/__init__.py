"""What Postfix asks during the SMTP dialogue: who is it, and may it, now?"""
