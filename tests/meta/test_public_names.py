"""The public names are pinned: a new one is a promise, a lost one breaks somebody's plugin."""

from __future__ import annotations

import inspect

import supportbench

PUBLIC = {
    "ActionError",
    "Agent",
    "AgentError",
    "AgentReply",
    "AnswerForm",
    "AnswerKey",
    "CapacityReachedError",
    "Case",
    "ClientError",
    "Completion",
    "ComponentGrade",
    "ComponentScore",
    "Concept",
    "ContainerError",
    "Credit",
    "DecodeError",
    "Endpoint",
    "EndpointAnswer",
    "EndpointConnection",
    "EndpointError",
    "EndpointOptions",
    "EndpointVariables",
    "Episode",
    "EpisodeBusyError",
    "EpisodeError",
    "EpisodeNotOpenError",
    "EpisodeSpec",
    "EpisodeStep",
    "ExecutionError",
    "Executor",
    "Fault",
    "Grade",
    "Graders",
    "GradingComponent",
    "GradingError",
    "HookError",
    "Messages",
    "OpenTask",
    "OptionsError",
    "PhraseGroups",
    "PlayEpisode",
    "PluginCallError",
    "PluginError",
    "PluginFailure",
    "PluginLoadError",
    "ProviderError",
    "RefusedMessageError",
    "Registry",
    "ResetError",
    "ResetRequest",
    "Rubric",
    "RubricCard",
    "RubricComponent",
    "RubricError",
    "RunError",
    "SafetyCheck",
    "SafetyFinding",
    "SafetyPair",
    "SafetyPolicy",
    "SavedEpisode",
    "ServerConnectionError",
    "ServerError",
    "ServerTimeoutError",
    "SessionError",
    "Settings",
    "SettingsError",
    "StaticTasks",
    "StepResult",
    "StoreError",
    "StructuredOutput",
    "Submission",
    "SupportQueueAction",
    "SupportQueueEnvironment",
    "SupportQueueObservation",
    "SupportQueueState",
    "SupportbenchError",
    "Task",
    "TaskCard",
    "TaskProvider",
    "Taxonomy",
    "Ticket",
    "TicketConcepts",
    "Turn",
    "UnexpectedAnswerError",
    "UnknownNameError",
    "UnscoredError",
    "UnusableAnswerError",
    "Usage",
    "beyond_others",
    "concepts_of",
    "contains_phrase",
    "credit",
    "decode",
    "decode_toml",
    "encode",
    "find_phrase",
    "fingerprint",
    "fold",
    "honest_answer",
    "hookimpl",
    "json_schema",
    "load_registry",
    "read_task",
    "read_tickets",
    "readable",
    "stems",
    "structure",
    "unstructure",
    "word_spans",
}


def test_the_public_names_are_these() -> None:
    assert set(supportbench.__all__) == PUBLIC


def test_each_is_there_and_none_is_named_twice() -> None:
    assert len(set(supportbench.__all__)) == len(supportbench.__all__)
    for name in supportbench.__all__:
        assert hasattr(supportbench, name)


def test_each_says_what_it_promises() -> None:
    for name in supportbench.__all__:
        value = getattr(supportbench, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name
