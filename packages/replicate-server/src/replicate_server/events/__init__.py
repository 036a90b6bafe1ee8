"""The event hub: wakes readers, waiters and webhooks when something was committed."""
