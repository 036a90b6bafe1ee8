"""The namespaces of a client, one file a noun: each method names an operation or flow, and its twin awaits the same one."""
