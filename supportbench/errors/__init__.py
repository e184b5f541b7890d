"""Every error that supportbench raises on purpose, and the boundary around plugin code.

SupportbenchError
├── SettingsError            a setting or environment variable has an impossible value
├── DecodeError              bytes or objects from outside do not have the promised shape
├── UnknownNameError         nothing is registered or offered under that name
├── RubricError              a rubric does not fit together
├── OptionsError             a component, check or agent takes no options, or not these
├── EpisodeError             the environment refuses a call; its state is as it was before
│   ├── ResetError           reset: unknown or contradicting task, split, index, key
│   ├── ActionError          step: the task's taxonomy does not allow a value
│   ├── EpisodeNotOpenError  step: before reset, or after the episode is done
│   └── EpisodeBusyError     step or reset: another call of this episode is under way
├── RunError                 an evaluation cannot start, or cannot be written
├── StoreError               the sessions' store cannot be reached, or holds something else than sessions
├── EndpointError            a language model's endpoint gave no answer that can be used
├── UnusableAnswerError      a language model's answer is not what was asked for
├── ClientError              a client did not get from a server what it asked for
│   ├── ServerConnectionError   there is no connection to the server, or no more
│   ├── ServerTimeoutError      the server did not answer in time; the connection is still there
│   ├── UnexpectedAnswerError   what answers is no supportbench server, or none that this client understands
│   ├── ContainerError          docker could not start or stop a server's container
│   └── ServerError             the server refused a request; its `code` says why
│       ├── RefusedMessageError    VALIDATION_ERROR, INVALID_JSON, UNKNOWN_TYPE: send something else
│       ├── ExecutionError         EXECUTION_ERROR: not as the episode stands, or a grader is at fault
│       ├── CapacityReachedError   CAPACITY_REACHED: try again later
│       └── SessionError           SESSION_ERROR, FACTORY_ERROR: there is no such session; connect anew
└── PluginError              somebody's plugin is at fault; the message says whose
    ├── PluginLoadError      one or more plugins did not load
    └── PluginCallError      a plugin raised while it was at work
        ├── ProviderError    a task provider
        ├── GradingError     a grading component or safety check
        │   └── UnscoredError    it asked somebody else and got no answer that it can use
        ├── AgentError       an agent
        └── HookError        a hook
"""

from supportbench.errors.boundary import boundary
from supportbench.errors.kinds import (
    ActionError,
    AgentError,
    CapacityReachedError,
    ClientError,
    ContainerError,
    DecodeError,
    EndpointError,
    EndpointFailure,
    EpisodeBusyError,
    EpisodeError,
    EpisodeNotOpenError,
    ExecutionError,
    Fault,
    GradingError,
    HookError,
    OptionsError,
    PluginCallError,
    PluginError,
    PluginFailure,
    PluginLoadError,
    ProviderError,
    RefusedMessageError,
    ResetError,
    RubricError,
    RunError,
    ServerConnectionError,
    ServerError,
    ServerTimeoutError,
    SessionError,
    SettingsError,
    StoreError,
    SupportbenchError,
    UnexpectedAnswerError,
    UnknownNameError,
    UnscoredError,
    UnusableAnswerError,
)
from supportbench.errors.texts import text_of

__all__ = [
    "ActionError",
    "AgentError",
    "CapacityReachedError",
    "ClientError",
    "ContainerError",
    "DecodeError",
    "EndpointError",
    "EndpointFailure",
    "EpisodeBusyError",
    "EpisodeError",
    "EpisodeNotOpenError",
    "ExecutionError",
    "Fault",
    "GradingError",
    "HookError",
    "OptionsError",
    "PluginCallError",
    "PluginError",
    "PluginFailure",
    "PluginLoadError",
    "ProviderError",
    "RefusedMessageError",
    "ResetError",
    "RubricError",
    "RunError",
    "ServerConnectionError",
    "ServerError",
    "ServerTimeoutError",
    "SessionError",
    "SettingsError",
    "StoreError",
    "SupportbenchError",
    "UnexpectedAnswerError",
    "UnknownNameError",
    "UnscoredError",
    "UnusableAnswerError",
    "boundary",
    "text_of",
]
