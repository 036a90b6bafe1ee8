"""Run several predictions at once."""

import asyncio
import os

import replicate

prompts = ["a red apple on a wooden table", "a blue ocean under stormy skies", "a green forest in autumn"]


async def run_batch(prompts):
    """Wait for all of them together."""
    tasks = [replicate.async_run(os.environ["ECHO"], input={"prompt": prompt}) for prompt in prompts]
    return await asyncio.gather(*tasks)


for prompt, output in zip(prompts, asyncio.run(run_batch(prompts)), strict=True):
    print(f"{prompt}: {output}")
