"""The blob port on obstore."""

from replicate_server.blobs.objects import ObjectBlobs, build_memory_blobs, open_blobs

__all__ = ["ObjectBlobs", "build_memory_blobs", "open_blobs"]
