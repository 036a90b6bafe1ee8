"""Is handed a secret, and is careless with it."""

import hashlib

from cog import BasePredictor, Secret


class Predictor(BasePredictor):
    """Prints its key, and answers with the key's digest."""

    def predict(self, key: Secret, fails: bool = False) -> str:
        """Prove that the key arrived."""
        value = key.get_secret_value()
        print(f"opening the door with {value}")
        if fails:
            raise ValueError(f"the key {value} does not fit")
        return hashlib.sha256(value.encode()).hexdigest()
