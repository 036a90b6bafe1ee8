"""The peer: LitServe with a no-op model, run by its own interpreter as ``python litserve_app.py PORT``."""

import sys

import litserve


class Echo(litserve.LitAPI):
    """Echoes its input, as the no-op model of the platform does."""

    def setup(self, device):  # noqa: ANN001, ANN201 - LitServe's own signature
        """Load nothing."""

    def predict(self, request):  # noqa: ANN001, ANN201 - LitServe's own signature
        """Return the value."""
        return {"output": request["input"]["value"]}


if __name__ == "__main__":
    litserve.LitServer(Echo(), accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="error"
    )
