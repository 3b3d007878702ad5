"""`/suppressions/import` and `/suppressions/export`: the list as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, current_app, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import audit
from franking.db import utcnow
from franking.mail import suppression_pages, suppressions
from franking.mail.suppression_files import exporting, importing
from franking.mail.suppression_files.importing import Result, Wanted
from franking.mail.suppression_pages import Listed
from franking.reasons import Invalid
from franking.settings import Settings
from webpanel.database import reading, writing
from webpanel.suppressions import words
from webpanel.suppressions.forms import FilterForm, ImportForm
from webpanel.suppressions.views import bp

LONGEST_FILE = 5 << 20  # bytes: about 100,000 entries, which take some ten seconds
IMPORT = "suppressions.take"


@bp.url_value_preprocessor
def _allow_a_file(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Before anybody reads the form: whoever has logged in may send more than other pages take."""
    if endpoint == IMPORT and request.method == "POST" and current_user.is_authenticated:
        request.max_content_length = LONGEST_FILE


@bp.get("/import")
def choose() -> ResponseReturnValue:
    return _page(ImportForm(formdata=None))


@bp.post("/import")
def take() -> ResponseReturnValue:
    form = ImportForm()
    if not form.validate():
        return _page(form), 400
    settings: Settings = current_app.extensions["franking.settings"]
    account_id, email, now = current_user.account_id, current_user.email, utcnow()
    wanted = Wanted(account_id, settings.suppressions, now, form.scope.data, form.named)
    reading.rollback()  # its snapshot would be as old as the first batch

    def store(rows: Sequence[Mapping[str, Any]]) -> int:
        if form.check.data:
            return 0
        with writing() as session:
            return suppressions.put(session, rows, now)

    try:
        result = importing.take(form.file.data.stream, wanted, store=store)
    except Invalid as reason:
        if "scope_name" in reason.fields:
            form.refused(reason)
        else:
            form.file.errors = [f"{str(reason)[:1].upper()}{str(reason)[1:]}."]
        return _page(form), 400
    if not form.check.data:
        with writing() as session:
            told = {"format": result.format, "entries": result.entries, "changed": result.changed}
            audit.record(session, account_id, email, "suppression.import", **told)
    return _page(form, result)


@bp.get("/export")
def export() -> ResponseReturnValue:
    """The entries of the same filters as on the page, as CSV."""
    account, now, wanted = current_user.account, utcnow(), FilterForm(request.args).wanted()

    def page(before: int | None, limit: int) -> Sequence[Listed]:
        found = suppression_pages.search(reading, account, wanted, now, before=before, limit=limit)
        reading.expunge_all()  # else the session would keep the whole list
        return found

    headers = {"Content-Disposition": f'attachment; filename="suppressions-{now:%Y-%m-%d}.csv"'}
    lines = stream_with_context(exporting.lines(page))
    return Response(lines, mimetype="text/csv", headers=headers)


def _page(form: ImportForm, result: Result | None = None) -> str:
    return render_template(
        "suppressions/import.html",
        form=form,
        result=result,
        longest=LONGEST_FILE,
        words=words,
    )
