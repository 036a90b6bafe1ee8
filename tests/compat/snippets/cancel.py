"""Cancel a running prediction."""

import os
import time

import replicate

prediction = replicate.predictions.create(version=os.environ["SLOW_VERSION"], input={"seconds": 60})
while prediction.status == "starting":
    time.sleep(0.05)
    prediction.reload()
prediction.cancel()
while prediction.status == "processing":
    time.sleep(0.05)
    prediction.reload()
print(prediction.status)
