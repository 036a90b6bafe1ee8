"""Ask for a webhook when the prediction has ended."""

import os

import replicate

prediction = replicate.predictions.create(
    version=os.environ["ECHO_VERSION"],
    input={"prompt": "a robot made of flowers"},
    webhook=os.environ["WEBHOOK_URL"],
    webhook_events_filter=["completed"],
)
print(prediction.id)
