#!/usr/bin/env python3
"""The house rules, as a test. A rule that is not here is advice.

Usage: house.py ROOT. Prints each breach as file:line: rule, and ends with 'N passed, M failed'."""
import re
import subprocess
import sys
from pathlib import Path

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600

# Arrows point down: a folder may include what stands to the right of it, and common/.
BELOW = {
    "edge": {"edge/call", "edge/io", "edge/wire", "edge/media", "edge/report"},
    "edge/call": {"edge/io", "edge/wire", "edge/media", "edge/report"},
    "edge/io": {"edge/wire", "edge/report"},
    "edge/wire": set(),
    "edge/media": set(),
    "edge/report": set(),
    "common": set(),
}

# Of control's folders each may include those before it.
CONTROL = ["base", "db", "store", "net", "carrier", "media", "tools", "service", "jobs", "outbound", "api", "link", "webhooks",
           "commands"]
BELOW |= {f"control/{folder}": {f"control/{below}" for below in CONTROL[:place]} for place, folder in enumerate(CONTROL)}
BELOW["control"] = {f"control/{folder}" for folder in CONTROL}

# A third-party header has one home.
HOMES = {
    r"liburing\.h": r"edge/io/ring|tests/|bench/",
    r"openssl/ssl\.h": r"edge/io/tls|tests/|bench/",
    r"wslay/": r"edge/wire/ws|tests/|bench/",
    r"libpq-fe\.h": r"control/db/db",
    r"(opus/)?opus(enc)?\.h": r"control/media/opus|tests/",
    r"curl/curl\.h": r"control/net/(http|smtp)_client",
    r"seccomp\.h": r"common/sandbox",
    r"expat\.h": r"control/media/store_s3_list|tests/|bench/",
    r"http_parser\.h": r"edge/wire/http|tests/",
}

# On the edge: what has no bound, blocks, or is replaced by something of ours.
BANNED = {
    "strcpy": "span_copy_text", "strcat": "snprintf", "sprintf": "snprintf", "gets": "nothing",
    "rand": "tls_random", "random": "tls_random", "sleep": "a timer", "usleep": "a timer",
    "time": "common/clock.h", "gettimeofday": "common/clock.h", "system": "nothing",
    "popen": "nothing", "alloca": "a bounded buffer", "strtok": "a span", "atoi": "strtoul",
}

failures = []
checked = 0


def breach(path, line, rule):
    failures.append(f"{path}:{line}: {rule}")


def tracked(root, *patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
                         cwd=root, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in out.split("\n") if name and (root / name).exists()]


def strip_comments_and_strings(text):
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def folder_of(path):
    parent = str(path.parent)
    return parent if parent in BELOW else None


def check_includes(path, text):
    own = folder_of(path)
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#include\s+[<"]([^>"]+)[>"]', line)
        if not match:
            continue
        target = match.group(1)
        for header, home in HOMES.items():
            if re.match(header, target) and not re.match(home, str(path)):
                breach(path, number, f"{target} has one home: {home}")
        if re.match(r"edge/", target) and str(path).startswith("control/"):
            breach(path, number, "edge and control meet only in common/")
        if re.match(r"control/", target) and str(path).startswith("edge/"):
            breach(path, number, "edge and control meet only in common/")
        if own is None or not re.match(r"(edge|control|common)/", target):
            continue
        folder = str(Path(target).parent)
        if folder in (own, "common") or target == "edge/limits.h":
            continue
        if folder not in BELOW[own]:
            breach(path, number, f"arrow points up or sideways: {own} includes {target}")


def check_banned(path, code):
    for number, line in enumerate(code.split("\n"), 1):
        for name, instead in BANNED.items():
            if re.search(rf"(?<![\w.>]){name}\s*\(", line):
                breach(path, number, f"{name}() is not used on the edge; use {instead}")
        if re.search(r"#include\s*<assert\.h>", line):
            breach(path, number, "assert comes from common/panic.h")


def check_marks(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"\b(FIX" r"ME|TO" r"DO|XX" r"X)\b", line):
            breach(path, number, "an unfinished thought; finish it or file it")


def check_header(path, text):
    if not text.lstrip().startswith("/*"):
        breach(path, 1, "a header opens with what it is, who owns, which thread, what bounds")
    if "typedef struct" in text:
        breach(path, 1, "no typedef of structs")


def check_functions(root, paths):
    out = subprocess.run(["ctags", "--fields=+ne", "-o", "-", "--c-kinds=f", *map(str, paths)],
                         cwd=root, capture_output=True, text=True, check=True).stdout
    for row in out.split("\n"):
        match = re.match(r"(\S+)\t(\S+)\t.*\bline:(\d+).*\bend:(\d+)", row)
        if match:
            lines = int(match.group(4)) - int(match.group(3)) + 1
            if lines > FUNCTION_LINES_MAX:
                breach(match.group(2), match.group(3),
                       f"{match.group(1)} has {lines} lines; {FUNCTION_LINES_MAX} is a screen")


def main():
    global checked
    root = Path(sys.argv[1]).resolve()
    product = tracked(root, "edge/*.c", "edge/*.h", "control/*.c", "control/*.h", "common/*.c",
                      "common/*.h", "bench/*.c", "bench/*.h")
    tests = tracked(root, "tests/*.c", "tests/*.h")
    for path in product + tests:
        text = (root / path).read_text(errors="replace")
        code = strip_comments_and_strings(text)
        checked += 1
        check_marks(path, text)
        check_includes(path, text)
        if path in product:
            lines = text.count("\n")
            if lines > FILE_LINES_MAX:
                breach(path, 1, f"{lines} lines; {FILE_LINES_MAX} is a sitting")
            if path.suffix == ".h":
                check_header(path, text)
        if str(path).startswith(("edge/", "common/")):
            check_banned(path, code)
    check_functions(root, [p for p in product if p.suffix == ".c"])
    for failure in failures:
        print(failure)
    print(f"{checked - len(set(f.split(':')[0] for f in failures))} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
