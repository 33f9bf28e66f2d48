# SPDX-License-Identifier: BSD-3-Clause
"""The steps of a run while the ports belong to VFIO. A step that fails is a result; the next one still runs."""

import dataclasses
import pathlib

from pollux_lab.errors import LabError

from .programs import Ended, Programs
from .results import Results, gtest_cases, json_lines, rate_of

# What depends on a card and takes little time, for --quick.
QUICK_CASES = ("LifeCycle.CanBeOpenedAgainAfterClose", "LifeCycle.FreesAllBuffersWhenClosedWithFramesInFlight", "Traffic.CarriesJumboFrames",
               "Traffic.KeepsTheOrderWhenItsRingsWrap", "Control.FiltersByDestination", "Control.SendsAndReceivesOnSeveralQueues")
SIZES = (64, 256, 1518)
WINDOW = 256
RECORDED_FRAMES = 400


@dataclasses.dataclass
class Run:
    programs: Programs
    ports: list[str]  # URIs: two, which one cable connects, or one, whose frames turn back
    folder: pathlib.Path
    results: Results
    quick: bool
    probes: str = ""  # names, separated by commas; empty: all
    kind: str = "igb"  # of the ports: the driver, or the card of it that the conformance suite knows by name
    loopback: str = ""  # where the one port's frames turn back; set by the step `loopback`

    def pktgen(self, *words: str, seconds: float) -> tuple[dict, Ended]:
        ended = self.programs.run("pktgen", *words, "--json", "--quiet", seconds=seconds)
        return _summary(ended), ended


def _summary(ended: Ended) -> dict:
    found = [line["summary"] for line in json_lines(ended.out) if isinstance(line.get("summary"), dict)]
    return found[-1] if found else {}


def cable(run: Run) -> None:
    """Sends a few frames each way. Without a cable nothing else makes sense."""
    for sender, receiver in (run.ports, run.ports[::-1]):
        name = f"frames from {sender} to {receiver}"
        summary, ended = run.pktgen(sender, receiver, "--count", "100", "--window", "16", "--check", "--expect-all", seconds=60)
        if ended.status != 0 or summary.get("good") != 100:
            run.results.add("cable", name, "failed", f"{summary.get('good', 0)} of 100 arrived; {ended.end_text()}")
            raise LabError(f"no frames pass from {sender} to {receiver}", "connect the two ports with one cable")
        run.results.add("cable", name, "passed")


def loopback(run: Run) -> None:
    """Sends a few frames in each kind of loopback. The later steps use the first kind that brings all of them back."""
    for mode in ("phy", "mac"):
        summary, ended = run.pktgen(*run.ports, "--loopback", mode, "--count", "100", "--window", "16", "--check", "--expect-all", seconds=60)
        if ended.status == 0 and summary.get("good") == 100:
            run.results.add("loopback", f"frames come back in the {mode.upper()}", "passed")
            run.loopback = mode
            return
        run.results.add("loopback", f"frames come back in the {mode.upper()}", "skipped", f"{summary.get('good', 0)} of 100; {ended.end_text()}")
    run.results.add("loopback", "frames come back", "failed", "neither in the PHY nor in the MAC")
    raise LabError("the port returns no frames in loopback", "connect a cable to a second port of the card, and name both ports")


def probes(run: Run) -> None:
    """Asks the open questions of docs/82576/interpretations.md."""
    if run.kind != "igb":
        run.results.add("probes", "the step", "skipped", "the probes ask an 82576")
        return
    for name in ("traces", "recordings"):
        (run.folder / name).mkdir(exist_ok=True)
    chosen = ["--only", run.probes] if run.probes else []
    ended = run.programs.run("silicon_probe", *run.ports, "--json", *chosen, "--traces", str(run.folder / "traces"),
                             "--recordings", str(run.folder / "recordings"), seconds=1200)
    lines = json_lines(ended.out)
    run.results.answers = [line for line in lines if "probe" in line]
    for answer in run.results.answers:
        state = {"answered": "passed"}.get(answer["state"], answer["state"])
        run.results.add("probe", answer["probe"], state, answer["reason"])
    summaries = [line["summary"] for line in lines if "summary" in line]
    if summaries:
        run.results.unasked = summaries[-1]["unasked"]
    else:
        run.results.add("probe", "all probes", "failed", f"silicon_probe did not ask them all: {ended.end_text()}")


def conformance(run: Run) -> None:
    """Runs the conformance suite on the two ports, or those cases of it that one port can pass."""
    environment = {"POLLUX_CONFORMANCE_PORTS": ",".join(run.ports), "POLLUX_CONFORMANCE_LOOPBACK": run.loopback}
    if run.kind != "igb":
        environment["POLLUX_CONFORMANCE_TRAITS"] = run.kind
    words = ["--gtest_filter=" + ":".join(f"*/{case}/*" for case in QUICK_CASES)] if run.quick else []
    listed = run.programs.run("conformance_test", "--gtest_list_tests", *words, seconds=60, environment=environment)
    ended = run.programs.run("conformance_test", *words, seconds=600 if run.quick else 3600, environment=environment)
    cases = gtest_cases(listed.out, ended.out, ended.end_text())
    if not cases:
        run.results.add("conformance", "the list of cases", "failed", listed.end_text())
    run.results.cases += cases


def rates(run: Run) -> None:
    """Measures rates: frames from one port to the other or back to itself, and frames that l2fwd passes in a circle through both."""
    times, seconds = (2, 1) if run.quick else (5, 3)
    for size in SIZES[:1] if run.quick else SIZES:
        measured = [_generated(run, size, seconds) for _ in range(times)]
        _add_rate(run, f"pktgen, loopback in the {run.loopback.upper()}" if run.loopback else "pktgen, one way", size, [one for one in measured if one])
        measured = [_circulated(run, size, seconds) for _ in range(times)] if size == SIZES[0] and not run.loopback else []
        _add_rate(run, "l2fwd, both ways", size, [one for one in measured if one]) if measured else None


def _generated(run: Run, size: int, seconds: int) -> tuple[float, int] | None:
    loop = ["--loopback", run.loopback] if run.loopback else []
    summary, ended = run.pktgen(*run.ports, *loop, "--size", str(size), "--seconds", str(seconds), "--window", str(WINDOW), "--check",
                                seconds=seconds + 60)
    if ended.status != 0 or not summary.get("seconds"):
        run.results.add("rate", f"pktgen, {size} bytes", "failed", ended.end_text())
        return None
    return summary["received"] / summary["seconds"] / 1e6, summary["sent"] - summary["received"]


def _circulated(run: Run, size: int, seconds: int) -> tuple[float, int] | None:
    ended = run.programs.run("l2fwd", *run.ports, "--circulate", str(WINDOW), "--seconds", str(seconds), "--json", "--quiet", seconds=seconds + 60)
    summary = _summary(ended)
    if ended.status != 0 or "mpps" not in summary:
        run.results.add("rate", f"l2fwd, {size} bytes", "failed", ended.end_text())
        return None
    # The frames that are still in the rings at the end count as stopped.
    return summary["mpps"], sum(count for name, count in summary["drops"].items() if not name.endswith("_stopped"))


def _add_rate(run: Run, name: str, size: int, measured: list[tuple[float, int]]) -> None:
    if measured:
        run.results.rates.append(rate_of(name, size, measured))
        run.results.add("rate", f"{name}, {size} bytes", "passed")


def recordings(run: Run) -> None:
    """Records l2fwd on both ports, and replays that at once, so that the files are known to be usable. Dumps the registers."""
    if run.kind == "vmxnet3":
        run.results.add("recording", "l2fwd is recorded", "skipped", "what a vmxnet3 device does depends on memory, which a recording does not have")
    else:
        _record(run)
    for number, port in enumerate(run.ports):
        ended = run.programs.run("pollux", "info", port, "--registers", "--json", seconds=60)
        (run.folder / f"registers-{number}.json").write_text(ended.out)
        _judge(run, f"registers of {port}", ended)


def _record(run: Run) -> None:
    folder = run.folder / "recordings"
    folder.mkdir(exist_ok=True)
    files = [folder / f"l2fwd-{number}.rec" for number in range(len(run.ports))]
    words = ["--circulate", "16", "--packets", str(RECORDED_FRAMES), "--no-mac-updating", "--json", "--quiet"]
    ended = run.programs.run("l2fwd", *(f"record:{file},{port}" for file, port in zip(files, run.ports)), *words, seconds=120)
    _judge(run, "l2fwd is recorded", ended)
    if ended.status == 0:
        _judge(run, "the recording replays", run.programs.run("l2fwd", *(f"replay:{file}" for file in files), *words, seconds=120))


def _judge(run: Run, name: str, ended: Ended) -> None:
    run.results.add("recording", name, "passed" if ended.status == 0 else "failed", "" if ended.status == 0 else ended.end_text())


# Each step with its name and what the plan says of it.
STEPS = {
    "cable": (cable, "send frames each way, to see that the cable connects the ports"),
    "loopback": (loopback, "send frames that turn back in the PHY or in the MAC"),
    "probes": (probes, "ask the card the open questions of docs/82576/interpretations.md"),
    "conformance": (conformance, "run the conformance suite (about a minute with --quick, else some ten)"),
    "rates": (rates, "measure rates"),
    "recordings": (recordings, "record a run, and replay the recording"),
}
TWO_PORTS = ["cable", "probes", "conformance", "rates", "recordings"]
# The questions come first, since they need no frame that comes back.
ONE_PORT = ["probes", "loopback", "conformance", "rates"]
