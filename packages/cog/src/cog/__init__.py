"""Package machine-learning models: the predictor interface and the worker that runs it."""
