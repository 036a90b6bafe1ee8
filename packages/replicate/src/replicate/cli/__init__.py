"""The `replicate` command. Nothing but click is imported until a command runs, so that help is quick."""


def main() -> None:
    """Run the command with the process's arguments."""
    from replicate.cli.app import replicate

    replicate()
