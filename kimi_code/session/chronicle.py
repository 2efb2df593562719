"""What a session keeps of its records as they come: the journal, the history, the summary, and what was spent."""

from dataclasses import dataclass, field

from kimi_code.agent.history import History
from kimi_code.errors import KimiError
from kimi_code.events import Record, StepEnded, TurnEnded
from kimi_code.messages import Usage
from kimi_code.session.journal import NOT_KEPT, Journal
from kimi_code.session.store import SessionMeta, follow, save_meta


@dataclass(slots=True)
class Chronicle:
    """Hears every record. `spent` is what the running turn has used so far, sub-agents included."""

    meta: SessionMeta
    history: History
    journal: Journal | None = None
    spent: Usage = field(default_factory=Usage)
    _broken: OSError | None = None

    def keep(self, record: Record) -> None:
        """Take one record in; of a sub-agent's only the cost, for it has a journal of its own."""
        event = record.event
        if record.agent != "main":
            if isinstance(event, StepEnded):
                self.spent += event.usage
            return
        if isinstance(event, NOT_KEPT):
            return
        self.meta = follow(self.meta, record)
        self.history.follow(event)
        if isinstance(event, StepEnded):
            self.spent += event.usage
        elif isinstance(event, TurnEnded):
            self.spent = Usage()
        self._write(record)

    def _write(self, record: Record) -> None:
        if self.journal is None or self._broken is not None:
            return
        try:
            self.journal.write(record)
        except OSError as error:
            # Work that cannot be recorded must stop, but the front end has still to hear how it ended.
            self._broken = error

    def check(self) -> None:
        """Raises KimiError once a record could not be written."""
        if self._broken is not None:
            reason = self._broken.strerror or str(self._broken)
            raise KimiError(
                f"The session cannot be saved any more: {reason}.",
                hint="Nothing that was done is lost; make room, or use --no-session.",
            )

    def close(self) -> None:
        """Close the journal, and write the summary beside it; safe to call twice."""
        if self.journal is None:
            return
        self.journal.close()
        if self.meta.turns and self._broken is None:
            save_meta(self.meta)
