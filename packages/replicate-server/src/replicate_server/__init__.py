"""The platform: HTTP API, scheduler, durable store and model instances. `bootstrap` is where its parts meet."""
