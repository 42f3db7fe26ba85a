"""Words for restarts: what each state means, why one was refused or failed, and what to do.

Place in the data's way: as ``probes.wording``; gets codes, gives sentences in the active language.
"""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes.models import Refusal, Restart
from probes.observation import EXPLANATIONS, Code

HINTS: Final[dict[str, Promise]] = {
    Refusal.OFF: gettext_lazy("Switch the service on to restart it."),
    Refusal.NO_COMMAND: gettext_lazy("An administrator chooses the command that restarts it."),
    Refusal.HOST_OFF: gettext_lazy("The host was disabled or removed."),
    Refusal.NOT_POSIX: gettext_lazy("Commands are run by sh; Windows hosts have none."),
    Refusal.NOT_WHOLE: gettext_lazy(
        "The host did not answer, or not wholly, so nothing is known of the port. See its probes."
    ),
    Refusal.STALE: gettext_lazy("Probe the host first: what is known of it is too old."),
    Refusal.LOGIN_PAUSED: gettext_lazy("The last login failed. Edit the credential to go on."),
    Refusal.NO_SUDO: gettext_lazy(
        "The command is run by sudo, and the host's credential has none. Set sudo there, or take "
        "it from the command."
    ),
    Refusal.SILENCED: gettext_lazy(
        "During maintenance nothing is restarted by itself. It is tried after the window."
    ),
    Refusal.UP: gettext_lazy("Nothing is to be done: the port is listened on."),
    Refusal.CONFIRM: gettext_lazy(
        "The service is up. Say that it is to be restarted all the same."
    ),
    Refusal.UNDER_WAY: gettext_lazy("Wait for its end."),
    Refusal.SAME_PROCESS: gettext_lazy(
        "A process that held the port before holds it still: it was not started anew, or only "
        "told to read its settings again."
    ),
    Refusal.BUDGET: gettext_lazy("It was restarted as often as it may be. Wait, or look for why."),
    Refusal.WAITED: gettext_lazy("Check that a worker and the scheduler run."),
    Refusal.INTERRUPTED: gettext_lazy(
        "Nobody knows whether the command was run, so it was not run again."
    ),
    Refusal.NOT_SEEN: gettext_lazy("No whole probe of the host came for an hour after it."),
}


def reason(code: str) -> tuple[str, str]:
    """Title and what to do about a reason; both empty where there is none."""
    if code in Refusal.values:
        return str(Refusal(code).label), str(HINTS.get(code, ""))
    if code in list(Code):
        if code == Code.SUDO_REFUSED:
            title, _hint = EXPLANATIONS[Code.SUDO_REFUSED]
            hint = _(
                "Check the sudo password, or allow the user to run this very command by sudo. "
                "Nothing was run, and it is not tried again by itself."
            )
            return _(title), hint
        if code == Code.TIMED_OUT:
            return _("No end in time"), _("The command did not end in time; it may still run.")
        title, hint = EXPLANATIONS[Code(code)]
        return _(title), _(hint)
    return (code, "") if code else ("", "")


def sentence(restart: Restart) -> str:
    """What became of a restart, in one line."""
    title, _hint = reason(restart.reason)
    if restart.state == Restart.State.PLANNED:
        return _("waits for a worker")
    if restart.state == Restart.State.RUNNING:
        return _("the command runs")
    if restart.state in (Restart.State.CHECKING, Restart.State.UNKNOWN) and not restart.ended_at:
        return _("waits for the probe that tells whether it helped")
    if restart.exit_status:
        said = _("the command ended with status %(status)s") % {"status": restart.exit_status}
        return f"{title} · {said}" if title else said
    return title
