"""Tell the model's errors from the platform's."""

import os

import replicate
from replicate.exceptions import ModelError, ReplicateError

for reference in (os.environ["BROKEN"], "owner/model:version"):
    try:
        replicate.run(reference, input={"message": "out of paint"})
    except ModelError as error:
        print(f"Model error: {error}")
    except ReplicateError as error:
        print(f"API error: {error.status}")
