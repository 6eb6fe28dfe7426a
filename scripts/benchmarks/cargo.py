"""Programs that cargo builds."""

import json

from . import processes


def built(directory, arguments, environment=None):
    """The path of a program that cargo builds."""
    # Cargo's messages are one JSON object a line; what else it says is between them.
    command = ["cargo", "build", "--locked", "--message-format", "json", *arguments]
    names = [f"{name}={value}" for name, value in (environment or {}).items()]
    output = processes.run(["env", "-C", directory, *names, *command])["output"]
    messages = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    programs = [message["executable"] for message in messages if message.get("executable")]
    if not programs:
        raise RuntimeError(f"{' '.join(command)} built no program")
    return programs[-1]
