"""Outgoing webhooks: composing, signing, delivering with retries."""
