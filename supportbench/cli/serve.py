"""`supportbench serve`: serve what is installed over the OpenEnv protocol."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from typing import Any, Final, get_args

import attrs
import click

from supportbench.cli import Program
from supportbench.errors import SupportbenchError
from supportbench.registry import load_registry
from supportbench.settings import Feedback, LogFormat, LogLevel, Mode, ServerSettings, split_names

_GROUPS: Final = ("What is served", "Where", "Sessions", "Access", "Limits", "Running")
_DEFAULTS: Final = attrs.fields_dict(ServerSettings)
_seconds: Final = click.FloatRange(min=0, min_open=True)
_bytes: Final = click.IntRange(min=1024)


class _Option(click.Option):
    """An option with a place in the help; its default is the setting's."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class _Serve(click.Command):
    """A command whose help has its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in _GROUPS:
            options = [option for option in self.params if isinstance(option, _Option) and option.group == group]
            with formatter.section(group):
                formatter.write_dl([row for option in options if (row := option.get_help_record(ctx))])
        with formatter.section("Options"):
            rest = [option for option in self.get_params(ctx) if not isinstance(option, _Option)]
            formatter.write_dl([row for option in rest if (row := option.get_help_record(ctx))])


def _option(group: str, name: str, attribute: str, told: str, **kind: Any) -> Callable[[Any], Any]:
    """Return the option that sets a setting; without a `type` and `metavar` it takes any text."""
    default = _DEFAULTS[attribute].default
    shown = f" Default: {default:g}." if isinstance(default, float) else f" Default: {default}."
    if default in (None, ()) or isinstance(default, bool):
        shown = ""
    return click.option(name, attribute, cls=_Option, group=group, default=None, help=f"{told}{shown}", **kind)


@click.command(
    name="serve",
    cls=_Serve,
    epilog="Every option has a variable: SUPPORTBENCH_PORT for --port, SUPPORTBENCH_ALLOWED_HOSTS=a,b for those that "
    "may be repeated, SUPPORTBENCH_TOKEN for tokens, OPENENV_MODE for --mode. The option goes first. "
    "Example: supportbench serve --port 8000",
)
@_option("What is served", "--provider", "provider", "Whose tasks a reset means that names none.", metavar="NAME")
@_option(
    "What is served",
    "--rubric",
    "rubric",
    "Grade by this rubric, not by the task's own; NAME:gate and NAME:binary change it. See: supportbench rubrics.",
    metavar="NAME|FILE.toml",
)
@_option(
    "What is served",
    "--feedback",
    "feedback",
    "What an agent learns of its grade: scores and findings; full, with what was expected; or none.",
    type=click.Choice(get_args(Feedback)),
)
@_option(
    "What is served", "--block", "block", "Go on without this plugin; may be repeated.", multiple=True, metavar="NAME"
)
@_option(
    "What is served",
    "--mode",
    "mode",
    "OpenEnv's mode: production hides reset, step and state over HTTP.",
    type=click.Choice(get_args(Mode)),
)
@_option("Where", "--host", "host", "Listen at this address; 0.0.0.0 is every one.", metavar="ADDRESS")
@_option(
    "Where",
    "--port",
    "port",
    "Listen at this port; 0 finds a free one.",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
)
@_option(
    "Where",
    "--workers",
    "workers",
    "Serve with so many processes. More than one need a shared --store for sessions over HTTP.",
    type=click.IntRange(min=1),
    metavar="N",
)
@_option(
    "Sessions",
    "--max-sessions",
    "max_sessions",
    "Hold so many sessions at most, each worker for itself.",
    type=click.IntRange(min=1),
    metavar="N",
)
@_option(
    "Sessions",
    "--session-timeout",
    "session_timeout_s",
    "End a session that was idle for so many seconds.",
    type=_seconds,
    metavar="SECONDS",
)
@_option(
    "Sessions",
    "--step-timeout",
    "step_timeout_s",
    "Give grading a step so many seconds; later, the episode stands where it stood.",
    type=_seconds,
    metavar="SECONDS",
)
@_option(
    "Sessions",
    "--store",
    "store",
    "Where sessions over HTTP live: memory, or redis://HOST:PORT/DB (Redis or Valkey), which workers and hosts share.",
    metavar="memory|URL",
)
@_option(
    "Sessions",
    "--default-session/--no-default-session",
    "default_session",
    "Whether a request over HTTP that names no session goes on with the caller's last one. Default: it does.",
)
@_option("Sessions", "--record", "record", "Append every finished episode to files in this folder.", metavar="DIR")
@_option(
    "Access",
    "--token",
    "tokens",
    "Ask for this bearer token everywhere but at /health; may be repeated. Prefer the variable SUPPORTBENCH_TOKEN=a,b: "
    "a command line is visible to other users of the machine.",
    multiple=True,
    metavar="TOKEN",
)
@_option(
    "Access",
    "--allowed-host",
    "allowed_hosts",
    "Answer only requests for this host name; may be repeated.",
    multiple=True,
    metavar="HOST",
)
@_option(
    "Access",
    "--allowed-origin",
    "allowed_origins",
    "Let pages of this origin call the server, such as https://example.org; may be repeated.",
    multiple=True,
    metavar="ORIGIN",
)
@_option(
    "Limits", "--max-body", "max_body", "Refuse a larger body of a request, in bytes.", type=_bytes, metavar="BYTES"
)
@_option(
    "Limits", "--max-frame", "max_frame", "Refuse a larger WebSocket message, in bytes.", type=_bytes, metavar="BYTES"
)
@_option(
    "Limits",
    "--max-header",
    "max_header",
    "Refuse larger headers, all together, in bytes.",
    type=_bytes,
    metavar="BYTES",
)
@_option(
    "Limits",
    "--connection-limit",
    "connection_limit",
    "Hold so many connections of one address at most, each worker for itself; 0 is no limit. Loopback has none.",
    type=click.IntRange(min=0),
    metavar="N",
)
@_option(
    "Limits",
    "--message-limit",
    "message_limit",
    "Take so many messages a second of one connection, and requests of one address, each worker for itself; 0 is no "
    "limit. Loopback has none.",
    type=click.FloatRange(min=0),
    metavar="N",
)
@_option(
    "Running",
    "--drain-timeout",
    "drain_timeout_s",
    "When told to end (SIGTERM, Ctrl-C), give what is under way so many seconds.",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
)
@_option(
    "Running",
    "--ping-interval",
    "ping_interval_s",
    "Ping WebSocket clients after so many seconds; who does not answer within as many is dropped.",
    type=_seconds,
    metavar="SECONDS",
)
@_option(
    "Running", "--log-level", "log_level", "Log from this level up, to stderr.", type=click.Choice(get_args(LogLevel))
)
@_option(
    "Running",
    "--log-format",
    "log_format",
    "json is a JSON object a line, auto is text on a terminal and json elsewhere.",
    type=click.Choice(get_args(LogFormat)),
)
@click.pass_obj
def command(program: Program, /, **asked: Any) -> None:
    """Serve what is installed over the OpenEnv protocol: WebSocket, HTTP and MCP.

    SIGTERM and Ctrl-C let requests under way finish, close WebSockets with 1012 and exit 0; a second one ends at once.
    Exits 2 when it cannot start as asked.
    """
    settings = _settings(program, asked)
    from supportbench.server.logs import configure_logging

    configure_logging(settings.log_level, settings.log_format, secrets=settings.tokens)
    with redirect_stdout(sys.stderr):  # what plugins print is no data of ours, whenever they do
        code = _serve(program, settings)
    logging.shutdown()
    sys.exit(code)


def _settings(program: Program, asked: dict[str, Any]) -> ServerSettings:
    settings = ServerSettings.from_environ(program.environ)
    named = tuple(plugin for text in asked.pop("block") for plugin in split_names(text))
    settings = attrs.evolve(settings, block=(*settings.block, *named))
    for name, value in asked.items():
        if value in (None, ()):
            continue
        try:
            settings = attrs.evolve(settings, **{name: value})
        except (SupportbenchError, ValueError) as error:
            option = next(option for option in command.params if option.name == name)
            raise click.BadParameter(str(error), param_hint=option.opts[0]) from error
    return settings


def _serve(program: Program, settings: ServerSettings) -> int:
    """Serve until a signal comes and return the exit code; its modules are imported late, so that --help is quick."""
    from supportbench.cli.announcing import announce, warn
    from supportbench.server.asgi import open_served
    from supportbench.server.listening import listen, make_room

    registry = load_registry(program.environ, settings.block).check()
    registry.providers.entry(settings.provider)
    sockets = listen(settings.host, settings.port, shared=settings.workers > 1)
    try:
        warn(settings, sockets, make_room(settings.max_sessions))
        on_started = partial(announce, settings, registry, sockets)
        if settings.workers > 1:
            from supportbench.server.workers import serve_with_workers

            make = partial(open_served, settings, dict(program.environ))
            return serve_with_workers(make, settings, sockets, on_started=on_started)
        from supportbench.server.app import create_app
        from supportbench.server.process import Served, serve

        app = create_app(settings, registry)
        return serve(Served(app=app, drain=app.service.drain), settings, sockets, on_started=on_started)
    finally:
        for listener in sockets:
            listener.close()
