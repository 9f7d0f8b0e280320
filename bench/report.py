"""What a run's figures say, as tables: for the terminal, and for README.md."""
import datetime
import os
import platform
import re
import subprocess

GENERATOR_BUSY_MAX = 0.92  # as in load/load_report.c
CAPACITY_PERCENT = 33
READ_ME_BEGIN, READ_ME_END = "<!-- bench: written by ./dev bench --keep -->", "<!-- bench: end -->"


def first_line(*command):
    try:
        return subprocess.run(command, text=True, capture_output=True, timeout=10).stdout.split("\n")[0].strip()
    except OSError:
        return ""


def machine():
    model = re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read())
    return {"cpu": model.group(1) if model else platform.machine(), "processors": os.cpu_count(),
            "kernel": platform.release(), "date": datetime.datetime.now().isoformat(timespec="minutes"),
            "load_average_before": os.getloadavg()[0], "node": first_line("node", "--version"),
            "go": first_line("go", "version"), "commit": first_line("git", "rev-parse", "--short", "HEAD")}


# ---- what one result means ----

def carried(result):
    return "relay" in result and not result["failed"]


def worst_p99_us(result):
    return max(result["up"]["p99_us"], result["down"]["p99_us"]) if "up" in result else float("inf")


def lost_ms(result):
    return result["up"]["lost_ms"] + result["down"]["lost_ms"]


def generator_full(result, p99_us):
    """Is the generator, rather than the relay, what ends here? Its own lateness counts by what is asked of the relay."""
    own = result["generator"]
    return own["busy_share"] > GENERATOR_BUSY_MAX or own["p99_us"] > p99_us / 10


def stands(result, p99_us):
    """Does the relay stand this load? Where the generator is the limit nothing more is to be learnt."""
    return carried(result) and worst_p99_us(result) <= p99_us and lost_ms(result) == 0 and \
        not generator_full(result, p99_us)


def floor_of(results, result):
    """The floor nearest in time of the same format, calls and kind of measurement."""
    at = results.index(result)
    floors = [(abs(results.index(other) - at), other) for other in results if other["relay_name"] == "floor" and
              other["format"] == result["format"] and other["calls"] == result["calls"] and carried(other)]
    return min(floors, key=lambda pair: pair[0])[1] if floors else None


def calls_at(known, share):
    """How many calls make a core so busy, by (share, calls) that were measured: between two of them on a straight line, beyond
    them in proportion."""
    known = sorted(known, key=lambda pair: pair[1])
    for (least, few), (most, many) in zip(known, known[1:]):
        if least <= share < most:
            return few + (many - few) * (share - least) / (most - least)
    busy, calls = known[0] if share < known[0][0] else known[-1]
    return calls * share / busy


def ratio(results, result):
    floor = floor_of(results, result)
    return result["relay"]["cpu_us_per_call_second"] / floor["relay"]["cpu_us_per_call_second"] if floor else None


def milliseconds(way):
    return " / ".join(f"{way[key] / 1000:.2f}" for key in ("p50_us", "p99_us", "p999_us", "max_us"))


def joined_share(result):
    frames = result["up"]["units"]
    return result["joined_frames"] / frames if frames else 0.0


# ---- tables for people ----

def print_table(head, rows):
    widths = [max(len(line[i]) for line in [head] + rows) for i in range(len(head))]
    for line in [head] + rows:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def cost_row(results, result):
    if "relay" not in result:
        return [result["label"], str(result["calls"]), "did not carry them"] + [""] * 9
    relay, own = result["relay"], result["generator"]
    times = ratio(results, result)
    return [result["label"], str(result["calls"]), f"{relay['cpu_us_per_call_second']:.0f}", f"{times:.2f}" if times else "-",
            f"{relay['calls_per_core']:.0f}", f"{relay['kib_per_call']:.0f}", f"{relay['busy_share'] * 100:.0f}%",
            milliseconds(result["up"]), milliseconds(result["down"]),
            f"{lost_ms(result):.0f}" + (f", {result['failed']} failed" if result["failed"] else ""),
            f"{joined_share(result) * 100:.0f}%",
            f"{own['busy_share'] * 100:.0f}%, {own['p99_us'] / 1000:.2f}" + (" BOTTLENECK" if own["bottleneck"] else "")]


COST_HEAD = ["case", "calls", "us/call-s", "ratio", "calls/core", "KiB/call", "busy", "up ms p50/p99/p99.9/max",
             "down ms p50/p99/p99.9/max", "lost ms", "joined", "generator busy, late p99 ms"]


def show_costs(results, kind, title):
    chosen = [result for result in results if result["kind"] == kind]
    if chosen:
        print(f"\n{title}")
        print_table(COST_HEAD, [cost_row(results, result) for result in chosen])


def show_half_load(results):
    for result in results:
        if result["kind"] == "half load" and "up" in result:
            up, down = result["up"], result["down"]
            print(f"  {result['label']}: {result['calls']} calls, core {result['relay']['busy_share'] * 100:.0f}% busy: "
                  f"up p50 {up['p50_us']:.0f} us, p99 {up['p99_us'] / 1000:.2f} ms; "
                  f"down p50 {down['p50_us']:.0f} us, p99 {down['p99_us'] / 1000:.2f} ms; lost {lost_ms(result):.0f} ms")


def append_lines(results):
    """A frame waits for those that share its append, so up's delay is the append time's, not the machine's."""
    for result in results:
        if result["kind"] == "append" and carried(result):
            up, down = result["up"], result["down"]
            yield (f"{result['label']}, {result['calls']} calls, appends of {result['append_ms']} ms: {result['relay']['busy_share'] * 100:.0f} % "
                   f"of a core; p50 {up['p50_us'] / 1000:.1f} ms up, {down['p50_us'] / 1000:.1f} down, p99 {up['p99_us'] / 1000:.1f} and "
                   f"{down['p99_us'] / 1000:.1f}; lost {lost_ms(result):.0f} ms")


def handshakes(result):
    edge = result.get("edge", {})
    name = "ringbridge_tls_handshakes_total"
    return {(side, kind): int(edge.get(f'{name}{{side="{side}",kind="{kind}"}}', 0))
            for side in ("server", "client") for kind in ("full", "resumed")}


def resumed_share(counts, side):
    full, resumed = counts[side, "full"], counts[side, "resumed"]
    return f"{full + resumed}, {100 * resumed / max(full + resumed, 1):.1f} % resumed"


def show_set_up(result):
    setup, counts = result["setup"], handshakes(result)
    print(f"  {setup['per_second']:.0f} calls/s of {setup['wanted_per_second']:.0f} wanted, {setup['established']} of "
          f"{setup['begun']} came about, {setup['failed']} failed; from webhook to first frame at the AI p50 "
          f"{setup['p50_ms']:.1f}, p99 {setup['p99_ms']:.1f} ms; handshakes with the carrier "
          f"{resumed_share(counts, 'server')}, with the AI {resumed_share(counts, 'client')}\n  meanwhile {result['calls']} running calls: up p99 {result['up']['p99_us'] / 1000:.2f}, down p99 "
          f"{result['down']['p99_us'] / 1000:.2f} ms, lost {lost_ms(result):.0f} ms; edge core "
          f"{result['relay']['busy_share'] * 100:.0f}% busy, generator core {result['generator']['busy_share'] * 100:.0f}% "
          f"by the generator alone, its frames late by p99 {result['generator']['p99_us'] / 1000:.2f} ms")
    if setup["per_second"] < 0.95 * setup["wanted_per_second"]:
        print("  The rate was not reached: see who was full. What stands behind the edge has what edge and generator leave.")


WEBHOOK_HEAD = ["workers", "asked for", "answered a second", "ms p50/p99/p99.9/max", "us each: edge, control, PostgreSQL, generator",
                "round trips", "soft, wrong, lost"]


def webhook_row(result):
    if "per_second" not in result:
        return [str(result["workers"]), "did not answer"] + [""] * 5
    cost = result.get("cpu_us", {})
    return [str(result["workers"]), f"{result['wanted_per_second']:.0f} a second" if result["wanted_per_second"] else "all it can",
            f"{result['per_second']:.0f}", " / ".join(f"{result[key]:.1f}" for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms")),
            ", ".join(f"{cost.get(name, 0):.0f}" for name in ("edge", "control", "postgres")) +
            f", {result['own_us_per_webhook']:.0f}", f"{result.get('round_trips', 0):.2f}",
            f"{result['soft']}, {result['wrong']}, {result['broken']}"]


def show_webhooks(results):
    chosen = [result for result in results if result["kind"] == "webhooks"]
    if chosen:
        print("\nIncoming-call webhooks through edge, control and PostgreSQL (commits on disk), all on both processors")
        print_table(WEBHOOK_HEAD, [webhook_row(result) for result in chosen])


def capacities(results, kind="sweep"):
    """label -> (calls it stood, whether more might have been possible)"""
    found = {}
    for result in results:
        if result["kind"] != kind:
            continue
        stood, _ = found.get(result["label"], (0, False))
        if stands(result, 100_000):
            found[result["label"]] = (max(stood, result["calls"]), True)
        else:
            found[result["label"]] = (stood, "generator" in result and generator_full(result, 100_000))
    return found


def capacity(results):
    """What a part of a core stood, by name: (calls, whether more might have been possible). None: not measured."""
    found = capacities(results, "capacity")
    names = {"by frames": "floor_by_frames-pcmu", "edge": "edge-pcmu", "floor": "floor-pcmu"}
    return {name: found[label] for name, label in names.items()} if all(label in found for label in names.values()) else None


def stood(calls, more):
    return f"{'at least ' if more else ''}{calls}"


def capacity_line(held):
    """A ratio only where the floor's own limit was found: "at least" is where the generator's was."""
    (by_frames, more), edge = held["by frames"], held["edge"][0]
    return (f"the edge, which joins frames, stood {stood(*held['edge'])} calls before p99 passed 100 ms, without losing any; the floor "
            f"{stood(*held['by frames'])} when it sends each frame by itself"
            f"{f' (the edge {edge / by_frames:.2f} times that)' if by_frames and not more else ''}, {stood(*held['floor'])} when it moves at "
            "once what piled up while it was late" + ("; \"at least\" is where the generator was too late itself to go on"
                                                      if any(pair[1] for pair in held.values()) else ""))


def show_capacity(results):
    held = capacity(results)
    if held:
        print(f"  {capacity_line(held)}")


def show_recording(results):
    """With recordings and without, as they ran in turn."""
    costs = [(result["label"], result["relay"]["cpu_us_per_call_second"], result["relay"]["kib_per_call"])
             for result in results if result["kind"] == "record" and "relay" in result]
    pairs = [(costs[at], costs[at + 1]) for at in range(0, len(costs) - 1, 2)]
    if not pairs:
        return
    print("\nRecording, in turn with the same calls unrecorded: CPU us per call-second, KiB per call")
    for (_, plain, plain_kib), (label, recorded, kib) in pairs:
        print(f"  {label}: {plain:.0f} -> {recorded:.0f} ({100 * (recorded / plain - 1):+.1f} %), {plain_kib:.0f} -> {kib:.0f}")
    plain, recorded = (sum(pair[side][1] for pair in pairs) for side in (0, 1))
    print(f"  together: {100 * (recorded / plain - 1):+.1f} %")


def show(data):
    results, facts = data["results"], data["machine"]
    print(f"\n{facts['cpu']}, {facts['processors']} processors, Linux {facts['kernel']}, {facts['date']}, load average before "
          f"{facts['load_average_before']:.2f}, {facts['minutes']} minutes")
    show_costs(results, "cost", "Cost and delay (ratio: CPU per call-second over the floor's)")
    if any(result["kind"] == "half load" for result in results):
        print("\nThe edge at half load")
        show_half_load(results)
    if any(result["kind"] == "append" for result in results):
        print("\nAn organisation's append time")
        print("".join(f"  {line}\n" for line in append_lines(results)), end="")
    for result in results:
        if result["kind"] == "memory" and "relay" in result:
            print(f"\nMemory: {result['calls']} calls with TLS on both legs, {result['relay']['kib_per_call']:.1f} KiB per call, "
                  f"{result['failed']} failed")
        if result["kind"] == "beside" and "up" in result:
            print(f"\n{result['calls']} running calls with TLS while none is set up: up p99 {result['up']['p99_us'] / 1000:.2f}, down p99 "
                  f"{result['down']['p99_us'] / 1000:.2f} ms")
        if result["kind"] == "set-up" and "setup" in result:
            print("\nCall set-up, TLS on both legs, " + ("nothing but the edge behind the webhook (stand_in.py)" if result["stand_in"]
                                                        else "control and PostgreSQL behind it, on what edge and generator leave of two cores"))
            show_set_up(result)
    show_recording(results)
    show_webhooks(results)
    show_costs(results, "sweep", "Sweep: until p99 passes 100 ms, audio is lost, or the generator is the limit")
    for label, (calls, more) in capacities(results).items():
        print(f"  {label} stood {stood(calls, more)} calls")
    show_costs(results, "capacity", f"Capacity: {CAPACITY_PERCENT} % of a core, until p99 passes 100 ms or audio is lost")
    show_capacity(results)
    if facts["load_average_before"] > 0.5:
        print("\nThe machine was not quiet when this began: ratios may hold, tails do not.")
    if not facts["relays_first"]:
        print("\nThe relays ran as ordinary processes (no right to SCHED_RR): tails are the kernel's housekeeping, too.")
    print("\nDelays are one way, from the sender's write to the kernel's time of arrival, through relay and loopback.")


# ---- README.md ----

def other_lines(results):
    """What else the run found, and how far the machine disturbed it."""
    lines = [""]
    ratios = [(result["label"], result["calls"], ratio(results, result)) for result in results if result["kind"] == "cost" and
              result["relay_name"] == "edge" and not result["tls"] and carried(result)]
    lines.append("- The edge over the floor: " + "; ".join(
        f"{label} " + ", ".join(f"{times:.2f} at {calls}" for name, calls, times in ratios if name == label and times)
        for label in dict.fromkeys(label for label, _, _ in ratios)) + " calls")
    for result in results:
        if result["kind"] == "half load" and "up" in result:
            lines.append(f"- Half load, {result['label']}, {result['calls']} calls, core {result['relay']['busy_share'] * 100:.0f} % busy: "
                         f"p50 {result['up']['p50_us']:.0f} µs up, {result['down']['p50_us']:.0f} down; "
                         f"p99 {result['up']['p99_us'] / 1000:.2f} and {result['down']['p99_us'] / 1000:.2f} ms")
        elif result["kind"] == "memory" and "relay" in result:
            lines.append(f"- {result['calls']} standing calls with TLS on both legs: {result['relay']['kib_per_call']:.1f} KiB each")
        elif result["kind"] == "beside" and "up" in result:
            lines.append(f"- {result['calls']} running calls with TLS while none is set up: p99 {result['up']['p99_us'] / 1000:.1f} ms up, "
                         f"{result['down']['p99_us'] / 1000:.1f} down")
        elif result["kind"] == "set-up" and "setup" in result:
            setup = result["setup"]
            lines.append(f"- Set-up with TLS, {'the edge alone' if result['stand_in'] else 'with control and PostgreSQL on what edge and generator leave of two cores'}: "
                         f"{setup['per_second']:.0f} calls a second of {setup['wanted_per_second']:.0f} asked for, {setup['failed']} failed; "
                         f"meanwhile {result['calls']} running calls' p99 {result['up']['p99_us'] / 1000:.1f} ms up, "
                         f"{result['down']['p99_us'] / 1000:.1f} down")
    lines += [f"- {line}" for line in append_lines(results)]
    held = capacity(results)
    if held:
        lines.append(f"- {CAPACITY_PERCENT} % of a core: {capacity_line(held)}")
    costs = [result for result in results if result["kind"] == "cost" and "generator" in result]
    slow = [result for result in costs if result["relay_name"] not in ("floor", "edge") and worst_p99_us(result) > 100_000]
    if slow:
        lines.append("- Beyond 100 ms p99, and so not tried with more calls: " +
                     ", ".join(f"{result['label']} with {result['calls']}" for result in slow))
    late = sum(result["generator"]["bottleneck"] for result in costs)
    if late:
        lines += ["", f"In {late} of {len(costs)} cases the generator itself was late (p99 over 2 ms) or full: the machine was "
                      "disturbed, and tails are not the relays' alone."]
    return lines


def markdown(data):
    facts, results = data["machine"], data["results"]
    lines = [f"Two cores of an {facts['cpu']} in a virtual machine, Linux {facts['kernel']}, {facts['date'][:10]}; one core for "
             f"the relay{', which runs before ordinary threads there (SCHED_RR),' if facts['relays_first'] else ','} one for "
             "the load. Times over the floor's CPU are in brackets.", "",
             "| relay | calls | CPU µs per call-second | up p50 / p99 ms | down p50 / p99 ms | KiB per call |",
             "|---|---|---|---|---|---|"]
    for result in results:
        if result["kind"] != "cost" or result["calls"] != 300:
            continue
        if not carried(result):
            lines.append(f"| {result['label']} | {result['calls']} | did not carry them | | | |")
            continue
        up, down, times = result["up"], result["down"], ratio(results, result)
        lines.append(f"| {result['label']} | {result['calls']} | {result['relay']['cpu_us_per_call_second']:.0f}"
                     f"{f' ({times:.2f})' if times else ''} | {up['p50_us'] / 1000:.2f} / {up['p99_us'] / 1000:.2f} | "
                     f"{down['p50_us'] / 1000:.2f} / {down['p99_us'] / 1000:.2f} | {result['relay']['kib_per_call']:.0f} |")
    series = [f"{label} {stood(calls, more)}" for label, (calls, more) in capacities(results).items()]
    if series:
        lines += ["", f"Calls one core stood before p99 passed 100 ms: {', '.join(series)}."]
    lines += other_lines(results)
    return "\n".join(lines) + "\n\n" + "\n".join(
        f"![{title}](bench/charts/{name}.svg)" for name, title in (
            ("cpu", "CPU per call-second against calls"), ("latency", "One-way delay against calls"))) + "\n"


def into_readme(data, path):
    text = path.read_text()
    begin, end = text.index(READ_ME_BEGIN) + len(READ_ME_BEGIN), text.index(READ_ME_END)
    path.write_text(text[:begin] + "\n" + markdown(data) + text[end:])
