"""Versions as OCI content: layers, configs, manifests and their digests."""
