"""Upload a file, find it again, delete it."""

import os

import replicate

uploaded = replicate.files.create(os.environ["FILE"], metadata={"made-by": "me"})
print(uploaded.name, uploaded.size, uploaded.metadata)
print(replicate.files.get(uploaded.id).checksums == uploaded.checksums)
print(uploaded.id in [item.id for item in replicate.files.list()])
print(replicate.files.delete(uploaded.id))
