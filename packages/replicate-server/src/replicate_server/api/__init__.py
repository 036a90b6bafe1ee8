"""The HTTP surface: decode, call a service, encode. No SQL, no engines."""
