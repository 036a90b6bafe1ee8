"""Make a picture and save it with a plain HTTP client."""

import os
from pathlib import Path

import httpx
import replicate

output = replicate.run(
    os.environ["PICTURE"],
    input={
        "prompt": "a samurai at dusk",
        "negative_prompt": "blurry",
        "width": 64,
        "num_inference_steps": 25,
        "guidance_scale": 7.5,
    },
)
response = httpx.get(output[0])
Path("samurai.png").write_bytes(response.content)
print(response.status_code, Path("samurai.png").read_bytes()[1:4].decode())
