"""Pass a local file, then a URL, as input."""

import os

import replicate

with open(os.environ["FILE"], "rb") as image:
    print(replicate.run(os.environ["CAPTION"], input={"image": image, "question": "What is in this image?"}))
print(replicate.run(os.environ["CAPTION"], input={"image": os.environ["FILE_URL"], "question": "What colors are in this image?"}))
