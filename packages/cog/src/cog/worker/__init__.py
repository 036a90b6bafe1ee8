"""The worker: runs a model author's code and speaks the instance protocol. Standard library only."""
