"""Stream text as the model writes it."""

import os

import replicate

for event in replicate.stream(
    os.environ["TOKENS_MODEL"],
    input={"prompt": "Explain quantum entanglement in simple terms.", "max_tokens": 512, "temperature": 0.7},
):
    print(str(event), end="", flush=True)
print()
