"""One action in, one grade out: every component and check of a rubric is asked; the reward follows from the answers.

The reward is `clamp(Σ weight·score + penalty, 0, 1)`, summed exactly (`math.fsum`), so that the order of components
does not matter. A fault of a component or check is an error that names it, never a score of 0.

Cost: linear in the components and in the text they read. A component that cannot suspend (its code has no `await`) is
run where it stands, since concurrency could not change anything; the others run as concurrent tasks, and those that
declare that they block on threads of their own.
"""

from supportbench.grading.feedback import feedback_of
from supportbench.grading.grader import Grader, check_taxonomy

__all__ = ["Grader", "check_taxonomy", "feedback_of"]
