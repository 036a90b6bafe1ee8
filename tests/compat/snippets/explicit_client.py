"""Configure the client in code and look around."""

import os

import replicate

client = replicate.Client(api_token=os.environ.pop("REPLICATE_API_TOKEN"))
print(client.accounts.current().username)
model = client.models.get("local/echo")
print(model.owner, model.name, model.latest_version.id == os.environ["ECHO_VERSION"])
print("echo" in [item.name for item in client.models.list()])
print([version.id for version in model.versions.list()] == [os.environ["ECHO_VERSION"]])
