"""The SDK without its public face: steps, flows, operations, retries, the event decoder and the two drivers.

Flows, operations, retries and the decoder are pure; `wire` is the only module that performs I/O, `drivers` the only one that
knows two ways of waiting for it. Nothing outside this package imports from here except the rest of the SDK.
"""
