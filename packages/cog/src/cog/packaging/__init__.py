"""Reading cog.yaml and packing model folders. Never imported by the worker: it needs a YAML parser."""
