"""The README's examples, as they stand there: every indented line with ringbridge-control or curl is run, in order, against a
real system whose organisation is called NAME; every command that the text mentions is one that there is."""
import os
import re
import subprocess

from api import furnish, token
from system import BIN, ROOT, System, run
from tools import Office

README = (ROOT / "README.md").read_text()
# What a reader puts in himself: files of the working directory.
FILES = {"headers.json": '{"Authorization":"Bearer example"}', "URL": "https://hooks.slack.example.com/services/T0/B0/x\n",
         "numbers.csv": "to,name,lead\n+15550136,Ada,crm-8\n+15550137,Bob,crm-9\n"}


def examples():
    """Commands of the indented blocks; one goes on while its line ends with a backslash or a quote is open."""
    found, command = [], None
    for line in README.split("\n"):
        if command is None and re.match(r"    (ringbridge-control|curl) ", line):
            command = line.strip()
        elif command is not None:
            command += "\n" + line
        if command is not None and not command.endswith("\\") and command.count("'") % 2 == 0:
            found.append(command)
            command = None
    assert command is None, command
    return found


def local(command, office):
    """The one thing that is not as it stands: somebody else's server is ours here."""
    return command.replace("https://crm.example.com/find", f"{office.url}/find")


def the_examples_work():
    system, office = System(), Office()
    system.settings = {"RINGBRIDGE_ALLOW_PRIVATE": "localhost"}
    with system:
        org = system.organisation("NAME", "+15550100")
        ids = furnish(system, org, "of_somebody")
        work = system.directory / "work"
        work.mkdir()
        for name, text in FILES.items():
            (work / name).write_text(text)
        environment = system.environment(
            PATH=f"{BIN}:{os.environ['PATH']}", URL=f"http://127.0.0.1:{system.listen}", TOKEN=token(system, org),
            CALL=ids["calls"], RECORDING=ids["recordings"])
        for command in examples():
            command = local(command, office)
            if command.startswith("curl "):
                command = command.replace("curl ", "curl -sS --fail-with-body ", 1)
            done = subprocess.run(["sh", "-c", command], text=True, capture_output=True, cwd=work, env=environment)
            print(f"{command.splitlines()[0]}\n  -> {done.stdout.strip()[:100]!r}")
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            assert done.stdout.strip(), f"{command}\nsaid nothing"
    print(f"{len(examples())} examples")


def there_are_examples():
    tools = [command.split()[0] for command in examples()]
    assert tools.count("curl") >= 6 and tools.count("ringbridge-control") >= 12, tools
    assert not re.search(r"^    .*\bcurl\b(?! (-X|\"))", README, re.M), "a curl that no test runs"


def what_is_mentioned_exists():
    done = subprocess.run([BIN / "ringbridge-control", "--help"], text=True, capture_output=True)
    commands = dict(re.findall(r"^  ([a-z-]+) (.*)$", done.stdout, re.M))
    mentioned = re.findall(r"`ringbridge-control ([a-z][a-z-]*)(?: ([a-z]+))?", README)
    assert len(mentioned) > 8, mentioned
    for command, verb in mentioned:
        assert command in commands, f"ringbridge-control {command}"
        usage = subprocess.run([BIN / "ringbridge-control", command, "nonsense"], text=True, capture_output=True).stderr
        assert not verb or f"{command} {verb}" in usage or verb in commands[command], f"ringbridge-control {command} {verb}"


run(there_are_examples, what_is_mentioned_exists, the_examples_work)
