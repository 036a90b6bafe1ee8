"""Run a model and print its output."""

import os

import replicate

output = replicate.run(os.environ["ECHO"], input={"prompt": "a photo of an astronaut riding a horse"})
print(output)
