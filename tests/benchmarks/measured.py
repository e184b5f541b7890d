"""What is measured, as the programs that measure it hand it on."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Played:
    """Sessions that played in a closed loop: what they got done in the measured time.

    `requests_per_s` has the resets as well. `load_cpu` and `server_cpu` are shares of one core. `waited` is how many
    steps were answered to the sessions that had a judge to wait for.
    """

    steps: int
    steps_per_s: float
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    load_cpu: float
    server_cpu: float
    answer_bytes: float
    waited: int = 0
    errors: int = 0
    first_error: str = ""

    def __str__(self) -> str:
        return f"{self.steps_per_s:,.0f} steps/s, p99 {self.p99_ms:.1f} ms, {self.cpu_us:.1f} µs of CPU a step"

    @property
    def cpu_us(self) -> float:
        """What a step took of the server's core, in microseconds, its share of the resets included.

        Unlike the rate, it hardly depends on what else the machine does.
        """
        return self.server_cpu / self.steps_per_s * 1e6 if self.steps_per_s else 0.0


@attrs.frozen(kw_only=True)
class Opened:
    """Sessions that were opened and reset, held, and closed, twice: the server's memory (bytes) and threads."""

    sessions: int
    open_s: float
    rss_before: int
    rss_open: int
    rss_closed: int
    rss_open_again: int
    threads_open: int
    errors: int = 0
    first_error: str = ""

    def __str__(self) -> str:
        return f"{self.open_s:.2f} s, {self.kib_per_session:.1f} KiB a session, {self.threads_open} threads"

    @property
    def kib_per_session(self) -> float:
        """What an open session takes of the server's memory."""
        return (self.rss_open - self.rss_before) / 1024 / self.sessions


@attrs.frozen(kw_only=True)
class Started:
    """How long a server took from its start to its first healthy answer."""

    start_s: float

    def __str__(self) -> str:
        return f"{self.start_s:.2f} s"


@attrs.frozen(kw_only=True)
class Installed:
    """What a fresh virtual environment holds once a server is installed in it."""

    mebibytes: float
    distributions: int

    def __str__(self) -> str:
        return f"{self.mebibytes:.0f} MiB, {self.distributions} distributions"


@attrs.frozen(kw_only=True)
class Parts:
    """What the parts of a step take by themselves, in microseconds; `environment` has no grading in it."""

    decode: float
    environment: float
    grade: float
    encode: float

    def __str__(self) -> str:
        together = self.decode + self.environment + self.grade + self.encode
        return f"{together:.1f} µs, of which grading {self.grade:.1f} µs"
