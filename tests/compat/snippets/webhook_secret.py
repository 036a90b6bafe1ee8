"""Read the signing secret, as a call and as a value."""

import replicate.webhooks

secret = replicate.webhooks.default.secret
print(str(secret()) == str(secret), secret.key.startswith("whsec_"))
