"""Create a prediction, then poll it with ``reload`` until it has ended."""

import os
import time

import replicate

prediction = replicate.predictions.create(
    version=os.environ["PICTURE_VERSION"],
    input={"prompt": "a city under the sea", "width": 76, "height": 76, "num_outputs": 4},
)
print(f"Prediction ID: {prediction.id}")
while prediction.status not in ["succeeded", "failed", "canceled"]:
    time.sleep(0.05)
    prediction.reload()
if prediction.status == "succeeded":
    print("Output URLs:", len(prediction.output), prediction.output[0])
else:
    print("Error:", prediction.error)
same = replicate.predictions.get(prediction.id)
print("Same:", same.output == prediction.output)
print("Listed:", prediction.id in [item.id for item in replicate.predictions.list()])
