"""The blob port on obstore."""
