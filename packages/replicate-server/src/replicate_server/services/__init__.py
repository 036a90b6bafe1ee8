"""Use cases, one module per noun. They see ports, never adapters."""
