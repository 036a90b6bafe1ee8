"""Keep a conversation by sending all of it each time."""

import os

import replicate

history = []


def chat(user_message):
    """Add a message, stream the answer, remember it."""
    history.append({"role": "user", "content": user_message})
    prompt = "\n".join(f"{message['role'].upper()}: {message['content']}" for message in history)
    response = ""
    for token in replicate.stream(os.environ["TOKENS_MODEL"], input={"prompt": prompt, "max_tokens": 256}):
        response += str(token)
    history.append({"role": "assistant", "content": response})
    return response


print(chat("What is machine learning?"))
print(chat("Can you give me a simple example?"))
